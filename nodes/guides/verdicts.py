"""Scores of images against a prompt, and verdicts in words.

The similarity that a CLIP loss has maximized proves nothing: an independent judge tells an edit
from an adversarial image (arXiv 2506.08257, appendix C). The judge is a second guide, or for the
demo world its own classifier of attributes.

Axes: b images, h and w pixels.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...tokenopt_core.checks import shown
from ...tokenopt_core.demo.captions import mentioned
from ...tokenopt_core.demo.judge import judge as demo_judge
from ...tokenopt_core.demo.world import ATTRIBUTES, IMAGE_SIZE
from ...tokenopt_core.images.fit import fit_images
from ...tokenopt_core.losses.prompts import parse_prompt
from ..host.memory import images_per_chunk, in_chunks
from ..host.models import activation_bytes, gradient_scope
from ..host.sockets import LoadedGuide
from ..report.words import counted, mean

SMALLEST_GAIN = 0.002  # of a similarity; less is noise of the resizing
ONLY_CLIP = "only CLIP is pleased: probably an adversarial image"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """What a judge says about a batch: one number and one verdict per image."""

    name: str
    values: list[float]
    verdicts: list[str]


def target_texts(prompts: Sequence[str]) -> list[str]:
    """The text that the finished image should fit, for each prompt: its parts of positive weight at
    the end of the run, joined.

    Raises:
        ValueError: a prompt has no such part.
    """
    texts = []
    for prompt in prompts:
        parts = [part.text for part in parse_prompt(prompt) if part.weight_at(1.0) > 0]
        if not parts:
            raise ValueError(
                f"prompt {shown(prompt)} asks for nothing at the end of the run; expected a part "
                "with a weight above 0."
            )
        texts.append(", ".join(parts))
    return texts


def similarity(guide: LoadedGuide, images: Tensor, texts: Sequence[str]) -> Tensor:
    """Cosine similarity (b,) of whole images (b, 3, h, w) with their texts (one, or one each)."""
    count, size = len(images), guide.module.image_size
    memory = activation_bytes(size, images_per_chunk(size, count), gradients=False)
    with gradient_scope(guide, memory=memory) as device, torch.no_grad():

        def encode(rows: slice) -> Tensor:
            return guide.module.encode_image(fit_images(images[rows], size).to(device)).cpu()

        features = torch.cat(in_chunks(count, size, encode))
        return (features * guide.module.encode_text(texts)).sum(-1)


def guide_scores(
    guide: LoadedGuide,
    images: Tensor,
    texts: Sequence[str],
    before: Tensor | None,
    clip_gain: Tensor | None,
) -> Scores:
    """What a second guide says; with the images `before` it says whether it agrees with CLIP."""
    values = similarity(guide, images, texts)
    likely = guide.module.probability(values)
    if before is not None:
        gain = values - similarity(guide, before, texts)
        verdicts = [
            _agreement(c, j) for c, j in zip(clip_gain.tolist(), gain.tolist(), strict=True)
        ]
    elif likely is not None:
        verdicts = [_likely(p) for p in likely.tolist()]
    else:
        verdicts = ["connect `before` for a verdict: this judge only compares"] * len(values)
    return Scores(f"judge {guide.name}", values.tolist(), verdicts)


def demo_scores(images: Tensor, texts: Sequence[str]) -> Scores:
    """What the demo judge says: the probability of a valid scene with all attributes named."""
    texts = list(texts) * (len(images) if len(texts) == 1 else 1)

    def judge(rows: slice) -> list[tuple[float, str]]:
        return _demo_verdicts(images[rows], texts[rows])

    judged = sum(in_chunks(len(images), IMAGE_SIZE, judge), [])
    values, verdicts = zip(*judged, strict=True)
    return Scores("demo judge", list(values), list(verdicts))


def _demo_verdicts(images: Tensor, texts: Sequence[str]) -> list[tuple[float, str]]:
    """Probability and verdict of each image with its text."""
    scenes = demo_judge(images)
    names = scenes.names()
    verdicts = []
    for i, text in enumerate(texts):
        wanted = mentioned(text)
        chance = float(scenes.valid[i])
        for name, value in wanted.items():
            column = list(ATTRIBUTES).index(name)
            chance *= float(scenes.probabilities[column][i, ATTRIBUTES[name].index(value)])
        wrong = [f"{n} is {names[i][n]}, not {v}" for n, v in wanted.items() if names[i][n] != v]
        verdicts.append((chance, _demo_verdict(wanted, bool(scenes.valid[i] > 0.5), wrong)))
    return verdicts


def _demo_verdict(wanted: dict[str, str], valid: bool, wrong: list[str]) -> str:
    if not wanted:
        return "the prompt names nothing that the demo judge knows"
    if not valid:
        return f"no demo scene: {ONLY_CLIP}"
    return "; ".join(wrong) or "as asked"


def _agreement(clip_gain: float, judge_gain: float) -> str:
    better = clip_gain > SMALLEST_GAIN, judge_gain > SMALLEST_GAIN
    return {
        (True, True): "CLIP and the judge both see it come closer",
        (True, False): ONLY_CLIP,
        (False, True): "only the judge sees it come closer",
        (False, False): "neither sees it come closer",
    }[better]


def _likely(probability: float) -> str:
    if probability >= 0.5:
        return "the judge agrees"
    return "the judge is in doubt" if probability >= 0.05 else "the judge disagrees"


def log_verdicts(clip: Sequence[float], scores: Scores | None) -> None:
    """Logs one line about what CLIP and a judge, if there is one, say of a batch of images."""
    parts = [f"CLIP {mean(clip, '.3f')}"]
    if scores is not None:
        common = Counter(scores.verdicts).most_common(3)
        parts.append(f"{scores.name} {mean(scores.values, '.3f')}")
        parts += [f"{count} x {verdict}" for verdict, count in common]
    log.info("TokenOpt: judged %s: %s", counted(len(clip), "image"), ", ".join(parts))
