"""Trains the demo generator: a small ImageBert on the demo tokenizer's codes.

By the official recipe of TiTok's generators (arXiv 2406.07550, section 3.3; MaskGIT, arXiv
2202.04200, section 3.1): a share arccos(u) of the tokens is masked, all are predicted, the masked
ones count most, and a class is left out at times. Its classes are a shape and a colour.

Axes: b images, n tokens, k codebook size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from tqdm import tqdm

from tokenopt_core.demo.world import ATTRIBUTES, render_scenes, sample_attributes
from tokenopt_core.generators import GeneratorSpec, SamplingConfig, build_generator, save_generator
from tokenopt_core.generators.base import ANY
from tokenopt_core.generators.config import USUAL
from tokenopt_core.tokenizers import Tokenizer, TokenizerSpec, ViTSize
from tokenopt_core.tokenizers.fingerprint import fingerprint

from .loop import WeightAverage, set_lr

CLASSES = tuple(f"{c} {s}" for s in ATTRIBUTES["shape"] for c in ATTRIBUTES["colour"])
NETWORK = ViTSize(width=160, layers=5, heads=5)
RECOMMENDED = SamplingConfig(
    steps=8, guidance_scale=1.0, guidance_schedule="linear", temperature=2.0, anneal=True
)
LEAST_RATIO = 1e-6  # of masked tokens
SMOOTHING, UNMASKED_WEIGHT = 0.1, 0.1  # of the loss
DROPPED = 0.1  # share of images without their class
# Of parameters that no weight decay pulls to zero.
NOT_DECAYED = ("ln", "bias", "latent_tokens", "mask_token", "embedding", "norm", "gamma", "embed")
CHUNK = 250


class GeneratorTask:
    """Masked prediction of codes, in bfloat16."""

    peak_lr = 1.5e-3

    def __init__(
        self,
        tokenizer: Tokenizer,
        codes: Tensor,
        labels: Tensor,
        *,
        steps: int = 13000,
        batch: int = 128,
        seed: int = 41,
    ):
        # Of another tokenizer's codes it would have to learn everything anew.
        self.name = f"generator-{fingerprint(tokenizer).hex()[:8]}"
        torch.manual_seed(seed)
        self.codes, self.labels, self.steps, self.batch = codes, labels, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.model = build_generator(spec_for(tokenizer.spec))
        self.average = WeightAverage(self.model)
        self.modules = {"model": self.model, "average": self.average}
        self.optimizer = torch.optim.AdamW(
            decay_groups(self.model.named_parameters(), 0.03), self.peak_lr, betas=(0.9, 0.96)
        )

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of images' codes."""
        set_lr(self.optimizer, progress, self.peak_lr)
        rows = torch.randint(len(self.codes), (self.batch,), generator=self.generator)
        codes = self.codes[rows].long()
        share, order, drop = self._numbers(codes.shape)
        masks = masked_positions(share, order)
        shown = codes.masked_fill(masks, self.model.spec.codebook_size)
        labels = self.labels[rows].masked_fill(drop < DROPPED, ANY)
        weights = {name: weight.bfloat16() for name, weight in self.model.named_parameters()}
        logits = functional_call(self.model, weights, (shown, labels))
        loss = masked_loss(logits, codes, masks)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.model, progress)
        right = (logits.argmax(-1) == codes)[masks].float().mean()
        return {"loss": loss.item(), "right": right.item()}

    def _numbers(self, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
        b, n = shape
        return tuple(torch.rand(*size, generator=self.generator) for size in ((b,), (b, n), (b,)))


def spec_for(tokenizer: TokenizerSpec) -> GeneratorSpec:
    """The demo generator's spec, for a tokenizer of the demo world."""
    return GeneratorSpec(
        name="demo",
        kind="imagebert",
        num_tokens=tokenizer.num_tokens,
        codebook_size=tokenizer.codebook_size,
        num_classes=len(CLASSES),
        network=NETWORK,
        mlp_width=4 * NETWORK.width,
        class_names=CLASSES,
        recommended=RECOMMENDED.resolved(USUAL),
    )


def masked_positions(share: Tensor, order: Tensor) -> Tensor:
    """Which tokens (b, n) are masked, of uniform numbers (b,) for how many and (b, n) for which."""
    count = masked_count(share, order.shape[1])
    return order.argsort(dim=-1) < count[:, None]


def masked_count(share: Tensor, n: int) -> Tensor:
    """How many of n tokens are masked (b,), of uniform numbers (b,): arccos makes it many, mostly.

    A half is rounded to the even number, as in the official code.
    """
    ratio = (share.acos() / (math.pi / 2)).clamp(min=LEAST_RATIO)
    return (n * ratio).round().clamp(min=1)


def masked_loss(logits: Tensor, codes: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy (scalar) of logits (b, n, k) with smoothed labels, mostly of masked tokens."""
    losses = functional.cross_entropy(
        logits.transpose(1, 2), codes, reduction="none", label_smoothing=SMOOTHING
    )
    weights = masks + UNMASKED_WEIGHT * ~masks
    return (losses * weights).sum() / weights.sum()


def decay_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, object]]:
    """Parameters for an optimizer: matrices that decay, and vectors and tables that do not."""
    groups = ([], [])
    for name, parameter in named:
        spared = parameter.ndim < 2 or any(part in name for part in NOT_DECAYED)
        groups[spared].append(parameter)
    return [
        {"params": groups[0], "weight_decay": weight_decay},
        {"params": groups[1], "weight_decay": 0.0},
    ]


def class_of(indices: Tensor) -> Tensor:
    """Labels (n,) of scenes with attribute indices (n, 8), of which shape and colour are first."""
    return indices[:, 0] * len(ATTRIBUTES["colour"]) + indices[:, 1]


def attributes_of(labels: Tensor) -> Tensor:
    """Indices (n, 2) of shape and colour of labels (n,)."""
    colours = len(ATTRIBUTES["colour"])
    return torch.stack([labels // colours, labels % colours], dim=1)


def scene_codes(folder: Path, tokenizer: Tokenizer, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Codes (n, tokens) int16 and labels (n,) of fresh scenes, made once for each tokenizer."""
    path = folder / f"codes-{fingerprint(tokenizer).hex()[:8]}-{n}.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(_scene_codes(tokenizer, n, seed), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    saved = torch.load(path, weights_only=True)
    return saved["codes"], saved["labels"]


@torch.no_grad()
def _scene_codes(tokenizer: Tokenizer, n: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    codes, labels = [], []
    for start in tqdm(range(0, n, CHUNK), desc="encode scenes", unit_scale=CHUNK, mininterval=5):
        attributes = sample_attributes(min(CHUNK, n - start), generator)
        features = tokenizer.encode(render_scenes(attributes, generator))
        codes.append(tokenizer.quantize(features).codes.short())
        labels.append(class_of(attributes.indices))
    return {"codes": torch.cat(codes), "labels": torch.cat(labels)}


def export_generator(task: GeneratorTask, folder: Path) -> None:
    """The averaged generator as `config.json` and `model.safetensors`, in 16 bits."""
    save_generator(task.average.module, folder, torch.float16)
