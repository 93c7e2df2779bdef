"""Interface of all tokenizers, and checks of the tensors that it takes.

Axes: b images, n tokens, d token size, h and w pixels, s = spec.image_size, t text tokens,
e text size.
Every tensor that crosses the boundary is float32 (codes: int64), whatever the weights' dtype.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checks import check_tensor
from ..compute.half_precision import half_copy, shallow_copy
from .spec import TokenizerSpec


class Quantized(NamedTuple):
    """Token vectors (b, n, d) and, for a codebook, their indices (b, n) int64; None for a VAE."""

    tokens: Tensor
    codes: Tensor | None


class Posterior(NamedTuple):
    """Diagonal Gaussian over a VAE's tokens: mean (b, n, d), log-variance (b, n, d)."""

    mean: Tensor
    logvar: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation (b, n, d)."""
        return torch.exp(0.5 * self.logvar)

    def kl(self) -> Tensor:
        """Divergence from the standard normal, summed over each token's channels -> (b, n)."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1 - self.logvar).sum(-1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw (b, n, d), with noise from the device of `generator`: the CPU's is portable."""
        device = generator.device if generator else self.mean.device
        noise = torch.randn(self.mean.shape, generator=generator, device=device)
        return self.mean + self.std * noise.to(self.mean)


class Tokenizer(nn.Module, ABC):
    """Image -> few tokens -> image.

    Calling `quantize` on features (b, n, d) gives `Quantized`: the nearest codes and their vectors
    with straight-through gradients, in float32 (a VAE has no codes: its features are its tokens).
    It is a module, not a method, because the checkpoints keep the codebook under that name.

    `caption` (1, t, e) is what a TA-TiTok decodes with where no text is given; see `captioned`.
    """

    quantize: nn.Module
    caption: Tensor | None = None

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def weights_device(self) -> torch.device:
        """Where its weights are. Not `device`: ComfyUI keeps its own notes under that name."""
        return next(self.parameters()).device

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Features (b, n, d) before quantization (VAE: the posterior mean) of images in [0, 1].

        Args:
            images: (b, 3, h, w). Of another size than the tokenizer's own they are cropped to
                their central square and resized with antialiasing.
        """

    @abstractmethod
    def decode(self, tokens: Tensor, text: Tensor | None = None) -> Tensor:
        """Images (b, 3, s, s) of tokens (b, n, d). Not clamped: values may leave [0, 1].

        Args:
            text: (b, t, e) or (1, t, e), features of the caption's words, `TextFeatures.guidance`;
                for TA-TiTok only. None is its own caption.

        Raises:
            ValueError: a text-aware tokenizer has neither, or another one got a text.
        """

    def captioned(self, text: Tensor) -> Tokenizer:
        """This tokenizer bound to a caption, for all that decodes with it; all else is shared.

        Upstream knows no tokenizer without a caption; "" is the empty one.

        Args:
            text: (1, t, e), as for `decode`.

        Raises:
            ValueError: the tokenizer takes no text, or another shape.
        """
        twin = shallow_copy(self)
        twin.caption = check_text(self.spec, text, 1)
        return twin

    def posterior(self, images: Tensor) -> Posterior:
        """Mean and log-variance (b, n, d) of a VAE's tokens, of images (b, 3, h, w) in [0, 1].

        Raises:
            ValueError: the tokenizer has a codebook, and no posterior.
        """
        raise ValueError(
            f"Tokenizer {self.spec.name!r} has a codebook and no posterior: use encode() instead."
        )

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> Tokenizer:
        """This tokenizer with a decoder that computes in `dtype`, its weights rounded once.

        Encoder and codebook are shared with this one, and stay as they are.

        Args:
            device: where to decode and to quantize, the codebook is copied to it; None is where
                this tokenizer is. The encoder always stays.
        """
        twin = shallow_copy(self)
        twin._modules = {
            name: child if name in ("encoder", "quantize") else half_copy(child, dtype, device)
            for name, child in self._modules.items()
        }
        if self.caption is not None:  # once, not at each decode
            twin.caption = self.caption.to(device or self.weights_device, dtype)
        if device is not None:
            twin._modules["quantize"] = half_copy(self.quantize, torch.float32, device)
        return twin

    def lookup(self, codes: Tensor) -> Tensor:
        """Tokens (b, n, d) of integer codes (b, n)."""
        codes = check_codes(self.spec, codes)
        return self.quantize.lookup(codes)


def check_codes(spec: TokenizerSpec, codes: Tensor) -> Tensor:
    """`codes` as int64, after checking their shape, type and range."""
    if spec.codebook_size is None:
        raise ValueError(f"Tokenizer {spec.name!r} is a VAE: it has no codes to look up.")
    check_tensor(codes, "codes", f"(b, {spec.num_tokens})")
    if codes.ndim != 2 or codes.shape[1] != spec.num_tokens:
        raise ValueError(f"codes have shape {tuple(codes.shape)}, expected (b, {spec.num_tokens}).")
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ValueError(f"codes have type {codes.dtype}, expected integers.")
    if codes.numel() and not 0 <= codes.min() <= codes.max() < spec.codebook_size:
        raise ValueError(
            f"codes lie between {int(codes.min())} and {int(codes.max())}, "
            f"expected 0 to {spec.codebook_size - 1}."
        )
    return codes.long()


def check_tokens(spec: TokenizerSpec, tokens: Tensor, name: str) -> None:
    """Raise unless `tokens` (called `name` in the message) are floating point and (b, n, d)."""
    expected = (spec.num_tokens, spec.token_size)
    check_tensor(tokens, name, f"(b, {expected[0]}, {expected[1]})")
    if tokens.ndim != 3 or tuple(tokens.shape[1:]) != expected:
        raise ValueError(
            f"{name} have shape {tuple(tokens.shape)}, expected (b, {expected[0]}, {expected[1]}) "
            f"for tokenizer {spec.name!r}."
        )
    if not tokens.is_floating_point():
        raise ValueError(f"{name} have type {tokens.dtype}, expected floating point.")


def check_text(spec: TokenizerSpec, text: Tensor | None, batch: int) -> Tensor | None:
    """`text` repeated to the batch, after checking that the tokenizer takes it, and its shape."""
    if spec.text_length is None:
        if text is not None:
            raise ValueError(
                f"text was given, but tokenizer {spec.name!r} takes none: only TA-TiTok does."
            )
        return None
    length, size = spec.text_length, spec.text_size
    if text is None:
        raise ValueError(
            f"text is missing: tokenizer {spec.name!r} decodes with the features ({batch}, "
            f"{length}, {size}) of a caption; give it encode_text([caption]).guidance of "
            'load_text_encoder(), or bind it to one by captioned(); "" is the empty caption.'
        )
    check_tensor(text, "text", f"(b, {length}, {size})")
    shape = tuple(text.shape)
    if len(shape) != 3 or shape[1:] != (length, size) or shape[0] not in (1, batch):
        raise ValueError(
            f"text has shape {shape}, expected ({batch}, {length}, {size}): tokenizer "
            f"{spec.name!r} decodes with the CLIP features of a caption."
        )
    return text.expand(batch, -1, -1)


def length(features: Tensor) -> Tensor:
    """Norms (b, n, 1) of the tokens; 1 for a token that is zero and has no direction."""
    norm = features.norm(dim=-1, keepdim=True)
    return norm.masked_fill(norm == 0, 1)
