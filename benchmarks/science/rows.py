"""Rows of the tables: what is optimized, from which start, with which settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

# The defaults that the experiments are about; chosen with `--experiments tune` (other scenes).
STEPS = 200
LR = 0.3
SCHEDULE = "cosine"
EMA = {"ema_decay": 0.95}
NOISE = {"token_noise": 0.6}
REGULARIZER = {"regularize": "seed", "reg_weight": 0.02}
TWEAKS = EMA | NOISE
CROPS = 4
# The comparators get the step size that serves them best on the tuning scenes.
NO_QUANTIZATION_LR = 0.1
PIXEL_LR = 0.003
VAE_LR = 0.1
# A step of a long run must not depend on how long the run is.
LONG = {"steps": 600, "lr": 0.2, "lr_schedule": "constant"}
HOLE_STEPS = 150
HOLE_LR = 0.1


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method.

    Args:
        key: its file name in the cache.
        label: its name in the tables.
        model: "demo", "grid", "vae" or "pixels".
        task: "edit" (text) or "hole" (inpainting).
        start: "image", "features" (random), "codes" (random), "best" (of several random
            features), "hole" (the seed with its hole filled by the mean of the rest), or "pool"
            (a scene chosen for the prompt).
        config: fields of `OptimizeConfig`; steps 0 looks at the start.
        crops: views of the text loss, 0 = the whole image.
        spread: standard deviation of random features.
        rim: pixels of the hole's soft rim.
        resets: put the known pixels back every `reset_every` steps.
        association: how a start from the pool is chosen: its "size", and the arguments "how" and
            "percent" of `choose`.
        short: the prompt names shape and colour alone, as people write it.
        preserve: of the text loss, whose source prompt is then what the seed shows.
        likeness: weight of the L1 distance to the seed beside the prompt.
        tries: runs with other random numbers, of which the lowest loss counts.
        traced: keep all features of the run, to look at many steps and stopping rules.
    """

    key: str
    label: str
    model: str = "demo"
    task: str = "edit"
    start: str = "image"
    config: dict[str, Any] = field(default_factory=dict)
    crops: int = CROPS
    candidates: int = 16
    spread: float = 1.0
    rim: int = 0
    short: bool = False
    preserve: float = 0.0
    likeness: float = 0.0
    tries: int = 1
    traced: bool = False
    association: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return self.config.get("steps", STEPS)

    def settings(self) -> dict[str, Any]:
        """Everything that decides the numbers: all but the names."""
        values = asdict(self)
        del values["key"], values["label"]
        for name in ("association", "spread", "short", "preserve", "likeness", "tries"):
            if getattr(self, name) == getattr(Row(key="", label=""), name):
                del values[name]  # younger than results that are kept
        return values

    def quick(self) -> Row:
        """The same with next to no steps, to try the machinery."""
        steps = min(self.steps, 4)
        config = self.config | {"steps": steps}
        pool = self.association and self.association | {"size": 8}
        return replace(
            self, config=config, crops=min(self.crops, 1), candidates=2, association=pool
        )


def _row(key: str, label: str, config: dict[str, Any] | None = None, **more: Any) -> Row:
    base = {"steps": STEPS, "lr": LR, "lr_schedule": SCHEDULE}
    return Row(key=key, label=label, config=base | (config or {}), **more)


def edit_rows() -> list[Row]:
    """Who edits, who cheats (issue B, section 6)."""
    free, pixels = {"quantize": False, "lr": NO_QUANTIZATION_LR}, {"lr": PIXEL_LR}
    return [
        _row("seed", "seed image", {"steps": 0}, model="pixels"),
        _row("reconstruction", "seed, reconstructed", {"steps": 0}),
        _row("grid-reconstruction", "seed, by the 2D grid", {"steps": 0}, model="grid"),
        _row("vae-reconstruction", "seed, by the VAE", {"steps": 0}, model="vae"),
        _row("tokens", "tokens with tweaks", TWEAKS),
        _row("regularized", "tokens with tweaks and regularizer", TWEAKS | REGULARIZER),
        _row("plain", "tokens, plain"),
        _row("no-quantization", "tokens without quantization", free),
        _row("pixels", "pixels", pixels, model="pixels"),
        _row("pixels-no-crops", "pixels, no crops", pixels, model="pixels", crops=0),
        _row("grid", "2D grid of tokens with tweaks", TWEAKS, model="grid"),
        _row("vae", "VAE with tweaks", TWEAKS | {"lr": VAE_LR}, model="vae"),
        _row("noise", "tokens with tweaks, from noise", TWEAKS, start="features"),
    ]


def generation_rows() -> list[Row]:
    """From noise: each tweak alone, all, and the ways to start (the paper's table 4)."""
    rows = [
        _row("g-none", "no tweak (one whole view)", crops=0),
        _row("g-crops", "crops alone"),
        _row("g-ema", "crops + EMA", EMA),
        _row("g-noise", "crops + token noise", NOISE),
        _row("g-reg", "crops + regularizer", REGULARIZER),
        _row("noise", "crops + EMA + noise", TWEAKS),
    ]
    rows += [
        _row(f"g-spread{spread}", f"crops + EMA + noise, spread {spread}", TWEAKS, spread=spread)
        for spread in (0.5, 2.0)
    ]
    rows = [replace(row, start="features") for row in rows]
    return [
        *rows,
        _row("g-codes", "crops + EMA + noise, from random codes", TWEAKS, start="codes"),
        _row("g-best", "crops + EMA + noise, from the best of 16", TWEAKS, start="best"),
    ]


LOOKS = (50, 100, 200, 300, 400, 600)
PATIENCES = (25, 50, 100)


def step_rows() -> list[Row]:
    """One long run each, looked at on the way (the paper's figure A5) and replayed for stopping."""
    return [
        _row("s-edit", "edit", TWEAKS | LONG, traced=True),
        _row("s-noise", "from noise", TWEAKS | LONG, traced=True, start="features"),
    ]


def hole_rows() -> list[Row]:
    """Inpainting, one tweak after the other."""
    base = {"steps": HOLE_STEPS, "lr": HOLE_LR}
    soft = {"rim": 4}
    rows = [
        _row("h-start", "mean fill, encoded and decoded", {"steps": 0}, **soft),
        _row("h-hard", "L1, hard mask", base),
        _row("h-hard-reset", "hard + reset every 25 steps", base | {"reset_every": 25}),
        _row("h-hard-all", "hard + reset + EMA + noise", base | TWEAKS | {"reset_every": 25}),
        _row("h-soft", "L1, soft mask", base, **soft),
        _row("h-reset", "soft + reset every 25 steps", base | {"reset_every": 25}, **soft),
        _row("h-noise", "soft + token noise", base | NOISE, **soft),
        _row("h-reg", "soft + regularizer", base | REGULARIZER, **soft),
        _row("h-all", "soft + reset + EMA + noise", base | TWEAKS | {"reset_every": 25}, **soft),
    ]
    return [replace(row, task="hole", start="hole", crops=0) for row in rows]


POOL = 256
ASSOCIATIONS = {
    "random": ("a random scene", {"how": "random"}),
    "top": ("one of the top 10 %", {"how": "top percent", "percent": 10.0}),
    "best": ("the best scene", {"how": "best"}),
}
FEW = 50


def association_key(start: str, steps: int) -> str:
    """The key of a row below; the long one from noise is known from the edits."""
    return "noise" if (start, steps) == ("noise", STEPS) else f"a-{start}-{steps}"


def association_rows() -> list[Row]:
    """Seeds chosen for a prompt out of a pool, as they are and after few and all steps (the paper's
    section 5.2)."""
    rows = []
    for steps in (0, FEW, STEPS):
        config = TWEAKS | {"steps": steps}
        for start, (label, how) in ASSOCIATIONS.items():
            key, pool = association_key(start, steps), {"size": POOL, **how}
            rows.append(
                _row(key, f"{label}, {steps} steps", config, start="pool", association=pool)
            )
        if steps:
            key = association_key("noise", steps)
            rows.append(_row(key, f"noise, {steps} steps", config, start="features"))
    return rows


PRESERVE = (0.25, 0.5, 0.75, 1.0)


def preserve_rows() -> list[Row]:
    """What keeps the attributes that an edit was not asked to change, by short and full prompt."""
    regularizer = {"regularize": "seed", "reg_weight": 0.05}
    rows = [
        _row("clip", "CLIP alone (`preserve` 0)", TWEAKS),
        _row("pulled", "regularizer “seed”, 0.05", TWEAKS | regularizer),
        _row("likeness", "L1 to the start, 0.5", TWEAKS, likeness=0.5),
        *(
            _row(f"preserve{value}", f"`preserve` {value:g}", TWEAKS, preserve=value)
            for value in PRESERVE
        ),
        _row("preserve-3", "`preserve` 1, best of 3", TWEAKS, preserve=1.0, tries=3),
    ]
    return [
        replace(row, key=f"p-{kind}-{row.key}", label=f"{kind}: {row.label}", short=short)
        for kind, short in (("short", True), ("full", False))
        for row in rows
    ]


def tuning_rows() -> list[Row]:
    """Candidates for the defaults above, on scenes of their own."""
    rows = [_row(f"t-lr{lr}", f"lr {lr}", TWEAKS | {"lr": lr}) for lr in (0.1, 0.2, 0.3, 0.5)]
    for lr in (0.2, 0.3, 0.5):
        config = TWEAKS | {"lr": lr, "lr_schedule": "cosine"}
        rows.append(_row(f"t-cos{lr}", f"lr {lr}, cosine", config))
        for noise in (0.5, 1.0):
            more = {"token_noise": noise}
            rows.append(
                _row(f"t-cos{lr}n{noise}", f"lr {lr}, cosine, noise {noise}", config | more)
            )
    for noise in (0.3, 1.0):
        rows.append(_row(f"t-n{noise}", f"noise {noise}", TWEAKS | {"token_noise": noise}))
    for ema in (0.9, 0.98):
        rows.append(_row(f"t-e{ema}", f"EMA {ema}", TWEAKS | {"ema_decay": ema}))
    for weight in (0.005, 0.1):
        rows.append(_row(f"t-r{weight}", f"regularizer {weight}", TWEAKS | {"reg_weight": weight}))
    rows += [_row(f"t-c{n}", f"{n} crops", TWEAKS, crops=n) for n in (1, 4)]
    rows.append(_row("t-s200", "200 steps", TWEAKS | {"steps": 200}))
    for lr in (0.01, 0.03, 0.1):
        free = {"quantize": False, "lr": lr}
        rows.append(_row(f"t-nq{lr}", f"no quantization, lr {lr}", free))
    for lr in (0.003, 0.01, 0.03, 0.1):
        rows.append(_row(f"t-p{lr}", f"pixels, lr {lr}", {"lr": lr}, model="pixels"))
    for model in ("grid", "vae"):
        for lr in (0.05, 0.1, 0.2, 0.3):
            config = TWEAKS | {"lr": lr}
            rows.append(_row(f"t-{model}{lr}", f"{model}, lr {lr}", config, model=model))
    return rows
