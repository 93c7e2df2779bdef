"""The work of Token Perturb Search: one loss for each image, batches that fit, progress, results.

Axes: b images, n tokens, d token size, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..tokenopt_core.config import OptimizeConfig
from ..tokenopt_core.losses import Loss, WeightedSum
from ..tokenopt_core.perturb import Found, SearchConfig, perturb_search
from ..tokenopt_core.precision import compute_dtype
from ..tokenopt_core.tokenizers.base import fit_images
from .compat import ProgressBar, model_management
from .gradients import activation_bytes, gradient_scope
from .influence import images_at_once
from .recipes import LossRecipe, Term
from .types import LoadedTokenizer, Tokens

CPU_BATCH, MOST_AT_ONCE = 16, 128  # a CPU is as fast with 8 as with 256
PREVIEW_SIZE = 1024
LOOK_SEED = 0  # of random crops: the same for every code, so that codes are compared, not crops


class Outcome(NamedTuple):
    """What a search gives, on the CPU; the r results by image, position and rank.

    Args:
        originals: (b, 3, s, s) in [0, 1].
        codes: (r, n), of the edited images.
        values: (r, n, d), their tokens.
    """

    found: list[Found]
    originals: Tensor
    codes: Tensor
    values: Tensor


class Follower:
    """Shows a search on its node: progress, the picture when there is a new one, end on cancel."""

    def __init__(self):
        self.bar, self.picture = ProgressBar(1), None

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        image = ("JPEG", self.picture, PREVIEW_SIZE) if self.picture else None
        self.picture = None
        self.bar.update_absolute(done, total, image)


def run_search(
    tokenizer: LoadedTokenizer,
    tokens: Tokens,
    positions: list[int],
    config: SearchConfig,
    *,
    loss: LossRecipe | None,
    mask: Tensor | None,
    draw: Callable[[list[Found]], Image.Image],
) -> Outcome:
    """What was found; loads what it needs and leaves inference mode.

    Args:
        mask: (1 | b, 1, h, w), cropped and resized like the images.
        draw: a picture of all results so far, shown in the node.
    """
    size, module = tokenizer.spec.image_size, tokenizer.module
    guides = loss.guides if loss else ()
    memory = activation_bytes(size, CPU_BATCH, gradients=config.method == "gradient")
    with gradient_scope(tokenizer, *guides, memory=memory) as device:
        with torch.no_grad():
            codes = module.quantize(tokens.values.to(device)).codes
            originals = [module.decode(module.lookup(row[None])).cpu() for row in codes]
        dtype = compute_dtype(OptimizeConfig(), device)
        config = replace(config, batch=_batch(device, size), dtype=dtype)
        found: list[Found] = []
        follower = Follower()
        search = perturb_search(
            module,
            codes,
            positions,
            config,
            loss=_losses(loss, device, size, len(tokens)) if loss else None,
            mask=None if mask is None else _square(mask, size).to(device),
            seeds=LOOK_SEED,
            progress=follower,
        )
        for result in search:
            found.append(result)
            follower.picture = draw(found)
        rows = edited_codes(codes.cpu(), found)
        values = module.lookup(rows.to(device)).float().cpu()
        return Outcome(found, torch.cat(originals).clamp(0, 1), rows, values)


def edited_codes(codes: Tensor, found: list[Found]) -> Tensor:
    """The codes (r, n) of all results, in their order."""
    rows = []
    for result in found:
        own = codes[result.image].repeat(len(result.codes), 1)
        own[:, result.position] = result.codes
        rows.append(own)
    return torch.cat(rows)


def _losses(recipe: LossRecipe, device: torch.device, size: int, count: int) -> list[Loss]:
    """A loss for each image, which can look at any number of its candidates."""
    recipe.build(device, size, count)  # its messages speak of all images
    return [
        WeightedSum(_of_image(recipe, image, count).build(device, size, 1))
        for image in range(count)
    ]


def _of_image(recipe: LossRecipe, image: int, count: int) -> LossRecipe:
    """The recipe for one image of `count`: its own prompt, target and mask where it has any."""

    def own(term: Term) -> Term:
        changes = {}
        for field in fields(term):
            value = getattr(term, field.name)
            each = isinstance(value, Tensor) or field.name == "lines"
            if each and len(value) == count:
                changes[field.name] = value[image : image + 1]
        return replace(term, **changes)

    return recipe.changed(own) if count > 1 else recipe


def _square(mask: Tensor, size: int) -> Tensor:
    """The mask (b, 1, size, size) as the tokenizer sees the image that it was painted on."""
    return fit_images(mask.expand(-1, 3, -1, -1), size)[:, :1]


def _batch(device: torch.device, size: int) -> int:
    """How many images are decoded at once: half of the free memory on an accelerator."""
    if device.type == "cpu":
        return min(CPU_BATCH, images_at_once(size))
    free = model_management.get_free_memory(device)
    fitting = int(free / 2 // activation_bytes(size, 1, gradients=False))
    return max(1, min(MOST_AT_ONCE, fitting))
