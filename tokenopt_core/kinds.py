"""Whether an input is a tensor, and a batch of images; one sentence for the user when it is not.

Axes: b images, h x w pixels.
"""

from __future__ import annotations

from torch import Tensor


def check_tensor(value: object, name: str, shape: str) -> None:
    """Nothing; raises ValueError unless `value` is a tensor.

    Args:
        name: of the input, for the message.
        shape: what it should have, for example "(b, n, d)".
    """
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{name}: found the type {type(value).__name__}, expected a torch.Tensor {shape}; "
            "torch.as_tensor makes one of an array or a list."
        )


def check_images(images: object, name: str = "images", batch: str = "b") -> None:
    """Nothing; raises ValueError unless `images` is a tensor (b, 3, h, w).

    Args:
        name: of the input, for the message.
        batch: the first axis in the message.
    """
    shape = f"({batch}, 3, h, w)"
    check_tensor(images, name, shape)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name}: found the shape {tuple(images.shape)}, expected {shape}.")
