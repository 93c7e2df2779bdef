"""Requirements of a backward pass through frozen models: normal tensors, and clamped pixels.

A tensor made under `torch.inference_mode()` can never be saved for a backward pass, not even when
the mode is off again. ComfyUI runs every node under that mode, so weights that were loaded or moved
there are lost for an optimizer; both checks here say so in words instead of failing somewhere
inside a layer.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

SCOPE_HELP = (
    "run the loading, the moving and the optimization inside `with torch.inference_mode(False):`"
)


def require_gradient_scope(caller: str) -> None:
    """Nothing; raises RuntimeError where autograd cannot record, naming the `caller`."""
    if torch.is_inference_mode_enabled():
        raise RuntimeError(
            f"{caller} was entered under torch.inference_mode(), where no gradient exists: "
            f"{SCOPE_HELP}."
        )


def require_normal_weights(model: object, name: str) -> None:
    """Nothing; raises RuntimeError when `model` is a module that holds inference tensors."""
    if not isinstance(model, nn.Module):
        return
    for key, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_inference():
            raise RuntimeError(
                f"the {name}'s weight {key!r} was made or moved under torch.inference_mode() and "
                f"cannot take part in a backward pass: load the {name} again and {SCOPE_HELP}."
            )


class _ClampToRange(torch.autograd.Function):
    """Clamp to [0, 1]; a pixel outside keeps only the gradient whose descent leads back inside."""

    @staticmethod
    def forward(ctx, images: Tensor) -> Tensor:
        ctx.save_for_backward(images)
        return images.clamp(0, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (images,) = ctx.saved_tensors
        outward = ((images < 0) & (gradient > 0)) | ((images > 1) & (gradient < 0))
        return gradient.masked_fill(outward, 0)


def clamp_images(images: Tensor) -> Tensor:
    """The images clamped to [0, 1], with a gradient that never pushes a pixel further out of range.

    A decoder's output is not bounded, and a similarity to text can be bought with impossible
    colours that the returned, clamped image does not have. `Tensor.clamp` would close that door
    too, but has no gradient outside, so a pixel that is out of range could never come back.
    """
    return _ClampToRange.apply(images)
