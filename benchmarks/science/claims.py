"""Claims of the paper, and bars of the demo, held against the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..markdown import table
from ..stats import gap, mean
from .cache import Results
from .rows import FEW, STEPS, association_key
from .running import hits
from .tables import right_text, successes

SIGNATURE = ("pixels", "no-quantization", "tokens")
# Claim, better row, other row. What holds of pairs of rows in one table.
EDIT_CLAIMS = (
    ("editing tokens beats editing pixels", "tokens", "pixels"),
    ("quantization helps", "tokens", "no-quantization"),
    ("the tweaks help an edit", "tokens", "plain"),
    ("the regularizer helps an edit", "regularized", "tokens"),
    ("a 1D tokenizer beats a 2D grid of as many tokens", "tokens", "grid"),
    ("a codebook beats a VAE", "tokens", "vae"),
    ("crops keep pixels from cheating", "pixels", "pixels-no-crops"),
)
GENERATION_CLAIMS = (
    ("crops help generation from noise", "g-crops", "g-none"),
    ("EMA helps", "g-ema", "g-crops"),
    ("token noise helps", "g-noise", "g-crops"),
    ("the regularizer helps", "g-reg", "g-crops"),
    ("all tweaks together help", "noise", "g-crops"),
    ("spread 0.5 beats 1", "g-spread0.5", "noise"),
    ("spread 2 beats 1", "g-spread2.0", "noise"),
    ("random features beat random codes", "noise", "g-codes"),
    ("the best of 16 starts beats the first", "g-best", "noise"),
)
HOLE_CLAIMS = (
    ("a soft mask helps", "h-soft", "h-hard"),
    ("resets help", "h-reset", "h-soft"),
    ("resets help with a hard mask", "h-hard-reset", "h-hard"),
    ("all together help with a hard mask", "h-hard-all", "h-hard"),
    ("token noise helps inpainting", "h-noise", "h-soft"),
    ("the regularizer helps inpainting", "h-reg", "h-soft"),
    ("all together help inpainting", "h-all", "h-soft"),
)
ASSOCIATION_CLAIMS = (
    ("the best seed of a pool beats a random one", "best", "random"),
    ("one of its top 10 % beats a random one", "top", "random"),
    ("the best one beats one of its top 10 %", "best", "top"),
    ("the best one beats noise", "best", "noise"),
)


def bars(edit: Mapping[str, Results]) -> str:
    """The bars that the demo world was made for, measured."""
    lines = []

    def bar(text: str, measured: str, met: bool) -> None:
        lines.append((text, measured, "met" if met else "**not met**"))

    def bar_of_share(text: str, key: str, least: float, most: float) -> None:
        images = edit[key].images
        share = mean([float(flag) for flag in successes(images)])[0]
        bar(text, right_text(images), least <= share <= most)

    bar_of_share("tokens at least 70 % (goal 85 %)", "tokens", 0.70, 1)
    bar_of_share("pixels at most 15 %", "pixels", 0, 0.15)
    bar_of_share("tokens from noise at least 55 %", "noise", 0.55, 1)
    size, low, high = _gap(edit["tokens"], edit["pixels"])
    bar("gap at least 50 points", f"{size:.0f} [{low:.0f}, {high:.0f}]", size >= 50)
    by_clip, by_judge = (ranking(edit, what) for what in ("clip", "probability"))
    orders = f"CLIP: {_order(by_clip, edit)}; judge: {_order(by_judge, edit)}"
    met = by_clip == list(SIGNATURE) and by_judge == list(reversed(SIGNATURE))
    bar("CLIP and the judge rank in opposite order", orders, met)
    return table(("bar", "measured", ""), lines)


def ranking(edit: Mapping[str, Results], what: str) -> list[str]:
    """The rows of the adversarial signature, highest mean of `what` first."""
    means = {key: mean([image[what] for image in edit[key].images])[0] for key in SIGNATURE}
    return sorted(means, key=means.__getitem__, reverse=True)


def _order(keys: Sequence[str], edit: Mapping[str, Results]) -> str:
    return " > ".join(edit[key].row.label for key in keys)


def claims(experiments: Mapping[str, Mapping[str, Results]]) -> str:
    """Each claim with its difference and whether the 95 % interval lies on its side."""
    lines = []
    for name, known in (("edit", EDIT_CLAIMS), ("generation", GENERATION_CLAIMS)):
        for text, better, other in _pairs(known, experiments.get(name, {})):
            lines.append(_line(text, *_gap(better, other), "points"))
    for result in experiments.get("steps", {}).values():
        lines.append(_more_steps(result))
    for text, better, other in _pairs(HOLE_CLAIMS, experiments.get("inpainting", {})):
        pairs = zip(better.images, other.images, strict=True)
        size, half = mean([a["psnr"] - b["psnr"] for a, b in pairs])
        lines.append(_line(text, size, size - half, size + half, "dB"))
    lines += _associations(experiments.get("association", {}))
    return table(("claim", "difference", "in the demo world"), lines)


def _pairs(
    claims: Sequence[tuple[str, str, str]], results: Mapping[str, Results]
) -> Iterator[tuple[str, Results, Results]]:
    """The claims of which both rows were measured, with their results."""
    for text, better, other in claims:
        if better in results and other in results:
            yield text, results[better], results[other]


def _associations(results: Mapping[str, Results]) -> list[tuple[str, str, str]]:
    """The claims about seeds, after few and after all steps; success is the whole prompt."""
    lines = []
    for steps in (FEW, STEPS):
        for text, *starts in ASSOCIATION_CLAIMS:
            keys = [association_key(start, steps) for start in starts]
            if results.keys() >= set(keys):
                whole = ([hits(image) for image in results[key].images] for key in keys)
                size, low, high = (100 * x for x in gap(*whole))
                lines.append(_line(f"{text} (all eight, {steps} steps)", size, low, high, "points"))
    return lines


def _line(text: str, size: float, low: float, high: float, unit: str) -> tuple[str, str, str]:
    verdict = "holds" if low > 0 else "**the opposite holds**" if high < 0 else "not shown"
    digits = 0 if unit == "points" else 1
    low_text, high_text = f"{low:+.{digits}f}", f"{high:+.{digits}f}"
    return text, f"{size:+.{digits}f} [{low_text}, {high_text}] {unit}", verdict


def _more_steps(result: Results) -> tuple[str, str, str]:
    replays = result.replayed("looks")
    names = [name for name in replays if name.endswith("average")]
    first = "100 average" if "100 average" in replays else names[0]
    few, many = (successes(replays[name]["images"]) for name in (first, names[-1]))
    text = f"{names[-1].split()[0]} steps beat {first.split()[0]} ({result.row.label})"
    return _line(text, *(100 * x for x in gap(many, few)), "points")


def _gap(first: Results, second: Results) -> tuple[float, float, float]:
    """Difference of success in points, and its interval."""
    return tuple(100 * x for x in gap(successes(first.images), successes(second.images)))
