"""Results of a device compared with the CPU's: tokenizers of every kind, guides and losses.

The CPU's side is float64 where the models are small, otherwise float32, always without TF32.

Axes: b images, n tokens, d token size, s = image size.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

import tokenopt_core as tc
from tokenopt_core import OptimizeConfig, Tokenizer
from tokenopt_core.optimize.objective import Run, objective
from tokenopt_core.optimize.precision import first_scale

from ..speed.clock import exact_float32
from ..speed.models import ModelSet
from .rows import BOUNDS, CPU, PRECISIONS, STRICT, Row, apart, failure, row, scope_of

NEAR_TIE = 1e-5  # of the distances to two codes, relative to the vectors' lengths


def names_of(model_set: ModelSet) -> str:
    """The names of a tokenizer and its guide, as a table has them."""
    return ", ".join(dict.fromkeys(model_set[:2]))


def compare(model_set: ModelSet, device: torch.device, *, exactly: bool) -> Iterator[Row]:
    """What the device and the CPU make of the same images, in every precision.

    Args:
        exactly: the CPU's side is float64, and its own differences are given.
    """
    names, here, there = names_of(model_set), model_set.on(CPU), model_set.on(device)
    side, source = here[0].spec.image_size, torch.Generator().manual_seed(1)
    larger = torch.rand(1 + exactly, 3, side + 16, side + 40, generator=source)
    with exact_float32(), torch.no_grad():
        reference = copy.deepcopy(here[0]).double() if exactly else here[0]
        features = reference.encode(larger)
        yield from _codes(names, here[0], there[0], larger, features)
    targets = torch.rand(len(larger), 3, side, side, generator=source)
    with exact_float32():
        dtype = torch.float64 if exactly else torch.float32
        expected = _evaluated(*here, features, targets, dtype)
    for precision, dtype in PRECISIONS.items():
        try:
            with scope_of(precision):
                actual = _evaluated(*there, features, targets, dtype)
        except Exception as error:  # bfloat16, say, may be unknown to a card that has the others
            yield failure(names, precision, error)
            continue
        own = _evaluated(*here, features, targets, dtype) if exactly and device != CPU else {}
        for what, value in expected.items():
            bound = BOUNDS[precision][what]
            difference = apart(actual[what], value, what)
            own_difference = apart(own[what], value, what) if own else None
            yield row(names, precision, what, difference, bound, own_difference)


def _evaluated(
    tokenizer: Tokenizer, guide: tc.Guide, features: Tensor, targets: Tensor, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Embedding, losses, images and gradient on the models' device, computed in `dtype`.

    Args:
        features: (b, n, d) on the CPU.
        targets: (b, 3, s, s) that the losses compare with; on the CPU, as those of a node are.
    """
    device, count = tokenizer.weights_device, len(features)
    source = torch.Generator().manual_seed(3)
    spec, size = tokenizer.spec, guide.image_size
    shape = (1, spec.text_length, spec.text_size)
    text = torch.randn(shape, generator=source) if spec.text_length else None
    with torch.no_grad():
        images = torch.rand(2, 3, size, size, generator=source).to(device)
        embedding = guide.cast(dtype).encode_image(images)
    run = Run(
        tokenizer=tokenizer.cast(dtype),
        loss=_every_loss(guide, targets).seeded(range(count)).cast(dtype),
        config=OptimizeConfig(),
        device=device,
        dtype=torch.float32 if dtype == torch.float64 else dtype,  # which is none of autocast's
        text=text,
    )
    result = objective(run, features.to(device), 0, [first_scale(dtype)] * count)
    losses = torch.stack(list(result.terms.values()))
    values = {"embedding": embedding, "losses": losses}
    return values | {"images": result.images, "gradient": result.gradient}


def _every_loss(guide: tc.Guide, targets: Tensor) -> tc.Loss:
    """One of each kind."""
    mask = torch.zeros_like(targets[:1, :1])
    mask[..., : mask.shape[-1] // 2] = 1
    parts = (
        tc.ClipLoss(guide, "a large red circle | dark:-0.5", "small", crops=2),
        tc.ClipImageLoss(guide, targets[:1], crops=0),
        tc.MaskedComposite(tc.ClipLoss(guide, "square", crops=1), targets, mask),
        tc.MaskedL1Loss(targets, mask),
        tc.MaskedL2Loss(targets[:1], mask),
        tc.TotalVariationLoss(),
        tc.RangeLoss(),
    )
    return tc.WeightedSum([(1.0, part) for part in parts])


def _codes(
    names: str, here: Tokenizer, there: Tokenizer, images: Tensor, features: Tensor
) -> Iterator[Row]:
    """The features of images, their codes, and the codes of many random features."""
    actual, own = there.encode(images.to(there.weights_device)), here.encode(images)
    distances = [apart(each, features, "features") for each in (actual, own)]
    yield row(names, STRICT, "features", distances[0], BOUNDS[STRICT]["features"], distances[1])
    if here.spec.codebook_size is None:
        return
    shape = (4096 // here.spec.num_tokens, *features.shape[1:])
    many = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    for what, ours, theirs in (
        ("codes", features, actual),
        ("codes of random features", many, many.to(there.weights_device)),
    ):
        unexplained, note = _near_ties(here, ours, theirs.cpu(), there.quantize(theirs).codes.cpu())
        yield row(names, STRICT, what, unexplained, NEAR_TIE, note=note)


def _near_ties(here: Tokenizer, ours: Tensor, theirs: Tensor, codes: Tensor) -> tuple[float, str]:
    """How much farther than the nearest entries the device's codes (b, n) are from the CPU's
    features (b, n, d), beyond twice what the features differ, which explains as much."""
    entries, normalize = here.quantize.codebook().double(), here.quantize.normalize
    expected = here.quantize(ours.float()).codes
    ours, theirs = normalize(ours.double()), normalize(theirs.double())
    gaps = (ours - entries[codes]).norm(dim=-1) - (ours - entries[expected]).norm(dim=-1)
    lengths = ours.norm(dim=-1) + entries.norm(dim=-1).mean()
    unexplained = (gaps - 2 * (ours - theirs).norm(dim=-1)) / lengths
    note = f"{int((codes != expected).sum())} of {codes.numel()} differ"
    if not codes.equal(expected):
        note += f", whose distances are {gaps.max().item():.0e} apart"
    return max(0.0, unexplained.max().item()), note
