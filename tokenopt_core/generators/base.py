"""Interface of all generators, and checks of what they take.

Axes: b images, n tokens, k codebook size.
Codes are int64, and `spec.codebook_size` in their place stands for a masked position. Logits are
float32, whatever the weights' dtype.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ..checks import check_tensor
from ..compute.half_precision import half_copy
from ..tokenizers import Tokenizer
from .spec import GeneratorSpec

ANY = -1  # the label of no class


class Generator(nn.Module, ABC):
    """Predicts an image's masked codes from the others and from a condition.

    Calling it is `logits` without its checks, which would wait for the device.
    """

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def weights_device(self) -> torch.device:
        """Where its weights are. Not `device`: ComfyUI keeps its own notes under that name."""
        return next(self.parameters()).device

    @abstractmethod
    def check_condition(self, condition: object) -> Tensor:
        """The condition of b images, such as labels (b,), on the device of the weights.

        Raises:
            ValueError: it is none that this generator knows.
        """

    @abstractmethod
    def no_condition(self, batch: int) -> Tensor:
        """The condition of b = `batch` images of which nothing is known, such as labels (b,)."""

    def logits(self, codes: Tensor, condition: Tensor) -> Tensor:
        """Logits (b, n, k) of every code at every position.

        Args:
            codes: (b, n) integers in 0 .. k, where k is a masked position.
            condition: what the images show; labels (b,) int64, -1 for none.
        """
        condition = self.check_condition(condition)
        codes = check_codes(self.spec, codes, len(condition), most=self.spec.codebook_size)
        return self(codes.to(self.weights_device), condition)

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> Generator:
        """This generator with its weights rounded once, to compute in `dtype`.

        Args:
            device: where to compute; None is where this generator is.
        """
        return half_copy(self, dtype, device)


class ClassGenerator(Generator):
    """A generator whose condition is a class: one more token, before those of the image.

    Its vocabulary: codes 0 .. k - 1, the mask k, the classes, and last the token of no class.
    """

    def check_condition(self, condition: object) -> Tensor:
        check_tensor(condition, "condition", "(b,)")
        if condition.ndim != 1 or not len(condition):
            raise ValueError(
                f"condition has shape {tuple(condition.shape)}, expected (b,): a label for each "
                "image."
            )
        if condition.is_floating_point() or condition.is_complex() or condition.dtype == torch.bool:
            raise ValueError(f"condition has type {condition.dtype}, expected integers.")
        last = self.spec.num_classes - 1
        if not ANY <= condition.min() <= condition.max() <= last:
            raise ValueError(
                f"condition has labels between {int(condition.min())} and {int(condition.max())}, "
                f"expected 0 to {last}, or {ANY} for any class: {self.spec.name!r} knows "
                f"{last + 1} classes."
            )
        return condition.to(self.weights_device, torch.int64)

    def no_condition(self, batch: int) -> Tensor:
        return torch.full((batch,), ANY, device=self.weights_device)

    def forward(self, codes: Tensor, condition: Tensor) -> Tensor:
        """Logits (b, n, k) of codes (b, n) int64 and labels (b,) int64, both on its device."""
        spec = self.spec
        label = condition.where(condition != ANY, spec.num_classes) + spec.codebook_size + 1
        return self.network(torch.cat((label[:, None], codes), dim=1)).float()

    @abstractmethod
    def network(self, ids: Tensor) -> Tensor:
        """Logits (b, n, k) of vocabulary ids (b, 1 + n): the class, then the tokens."""


def vocabulary_size(spec: GeneratorSpec) -> int:
    """Codes, the mask, classes and the token of no class."""
    return spec.codebook_size + spec.num_classes + 2


def check_codes(spec: GeneratorSpec, codes: object, batch: int, most: int) -> Tensor:
    """`codes` as int64, after checking that they are (batch, n) integers in 0 .. most."""
    check_tensor(codes, "codes", f"({batch}, {spec.num_tokens})")
    if codes.shape != (batch, spec.num_tokens):
        raise ValueError(
            f"codes have shape {tuple(codes.shape)}, expected ({batch}, {spec.num_tokens}) for "
            f"{spec.name!r}."
        )
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ValueError(f"codes have type {codes.dtype}, expected integers.")
    if not 0 <= codes.min() <= codes.max() <= most:
        raise ValueError(
            f"codes lie between {int(codes.min())} and {int(codes.max())}, expected 0 to {most}."
        )
    return codes.long()


def check_fit(generator: Generator, tokenizer: Tokenizer) -> None:
    """Raises ValueError unless `tokenizer` has room for the codes that `generator` makes."""
    own, other = generator.spec, tokenizer.spec
    if (own.num_tokens, own.codebook_size) != (other.num_tokens, other.codebook_size):
        codes = f"{other.codebook_size} codes" if other.codebook_size else "no codes"
        raise ValueError(
            f"tokenizer: found {other.name!r} with {other.num_tokens} tokens of {codes}, but the "
            f"generator {own.name!r} makes {own.num_tokens} of {own.codebook_size}: take the "
            "tokenizer that it was trained with."
        )
