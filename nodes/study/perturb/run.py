"""The work of Token Perturb Search: one loss for each image, batches that fit, progress, results.

Axes: b images, n tokens, d token size, s = the tokenizer's image size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ....tokenopt_core.images.fit import fit_masks
from ....tokenopt_core.losses.base import Loss
from ....tokenopt_core.optimize.config import OptimizeConfig
from ....tokenopt_core.optimize.precision import compute_dtype
from ....tokenopt_core.study.perturb import Found, SearchConfig, perturb_search
from ...host.compat import model_management
from ...host.memory import images_per_chunk
from ...host.models import activation_bytes, gradient_scope, guide_bytes
from ...host.progress import BatchProgress
from ...host.sockets import LoadedTokenizer, Tokens
from ...losses.recipe import LossRecipe
from ...losses.terms import Batch, Term

CPU_BATCH, MOST_AT_ONCE = 16, 128  # a CPU is as fast with 8 as with 256
PREVIEW_SIZE, REDRAW = 1024, 0.5  # seconds between two previews, of all results so far
CROP_SEED = 0  # of random crops: the same for every code, so that codes are compared, not crops


class SearchResults(NamedTuple):
    """The best replacements of all positions, and the r edited images by image, position and rank.

    Args:
        codes: (r, n), of the edited images, on the CPU.
        values: (r, n, d), their tokens, on the CPU.
    """

    replacements: list[Found]
    codes: Tensor
    values: Tensor


def run_search(
    tokenizer: LoadedTokenizer,
    tokens: Tokens,
    positions: list[int],
    config: SearchConfig,
    *,
    loss: LossRecipe | None,
    mask: Tensor | None,
    draw: Callable[[list[Found]], Image.Image],
) -> SearchResults:
    """The results; loads the models and leaves inference mode.

    Args:
        mask: (1 | b, 1, h, w), cropped and resized like the images.
        draw: an image of all replacements so far, shown in the node.
    """
    model_management.throw_exception_if_processing_interrupted()
    size, module = tokenizer.spec.image_size, tokenizer.module
    each = _candidate_bytes(size, loss)
    batch = _wanted_batch(tokenizer.patcher.load_device, size, each)
    guides = loss.guides if loss else ()
    with gradient_scope(tokenizer, *guides, memory=batch * each) as device:
        with torch.no_grad():
            codes = module.quantize(tokens.values.to(device)).codes
        dtype = compute_dtype(OptimizeConfig(), device, module)
        config = replace(config, batch=_fitting_batch(device, batch, each), dtype=dtype)
        replacements: list[Found] = []
        search = perturb_search(
            module,
            codes,
            positions,
            config,
            loss=_losses(loss, device, size, len(tokens)) if loss else None,
            mask=None if mask is None else fit_masks(mask, size).to(device),
            seeds=CROP_SEED,
            progress=BatchProgress(draw=_new_results(replacements, draw), size=PREVIEW_SIZE),
        )
        for each_position in search:  # one by one: the preview draws them meanwhile
            replacements.append(each_position)
        rows = edited_codes(codes.cpu(), replacements)
        values = module.lookup(rows.to(device)).float().cpu()
        return SearchResults(replacements, rows, values)


def _new_results(
    replacements: list[Found], draw: Callable[[list[Found]], Image.Image]
) -> Callable[[], Image.Image | None]:
    """Draws all results so far, where there are new ones, with a pause between two images."""
    drawn, due = 0, 0.0

    def image_of_new() -> Image.Image | None:
        nonlocal drawn, due
        if len(replacements) == drawn or time.monotonic() < due:
            return None
        image = draw(replacements)
        drawn, due = len(replacements), time.monotonic() + REDRAW
        return image

    return image_of_new


def edited_codes(codes: Tensor, replacements: list[Found]) -> Tensor:
    """The codes (r, n) of all edited images, in their order."""
    rows = []
    for each in replacements:
        edited = codes[each.image].repeat(len(each.codes), 1)
        edited[:, each.position] = each.codes
        rows.append(edited)
    return torch.cat(rows)


def _losses(recipe: LossRecipe, device: torch.device, size: int, count: int) -> list[Loss]:
    """A loss for each image, which takes any number of its candidates."""
    recipe.build(Batch(device, size, count))  # its messages speak of all images
    losses = []
    for image in range(count):
        model_management.throw_exception_if_processing_interrupted()
        losses.append(_of_image(recipe, image, count).build(Batch(device, size)))
    return losses


def _of_image(recipe: LossRecipe, image: int, count: int) -> LossRecipe:
    """The recipe for one image of `count`: its own prompt, target and mask where it has any."""

    def own(term: Term) -> Term:
        changes = {}
        for field in fields(term):
            value = getattr(term, field.name)
            each = isinstance(value, Tensor) or field.name in ("lines", "source")
            if each and len(value) == count:
                changes[field.name] = value[image : image + 1]
        return replace(term, **changes)

    return recipe.changed(own) if count > 1 else recipe


def _candidate_bytes(size: int, loss: LossRecipe | None) -> int:
    """Bytes that one candidate needs besides the weights: to be decoded, and embedded by guides."""
    total = activation_bytes(size, 1, gradients=False)
    for term in loss.every_term() if loss else ():
        if term.weight and hasattr(term, "guide"):
            total += guide_bytes(term.guide, max(1, term.crops))
    return total


def _wanted_batch(device: torch.device, size: int, each: int) -> int:
    """How many images to decode at once: on an accelerator what half of its memory holds."""
    if device.type == "cpu":
        return min(CPU_BATCH, images_per_chunk(size))
    return max(1, min(MOST_AT_ONCE, int(model_management.get_total_memory(device) / 2 // each)))


def _fitting_batch(device: torch.device, wanted: int, each: int) -> int:
    """As many of them as there is room for: others may use the accelerator too."""
    if device.type == "cpu":
        return wanted
    return max(1, min(wanted, int(model_management.get_free_memory(device) // each)))
