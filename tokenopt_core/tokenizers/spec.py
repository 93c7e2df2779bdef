"""Specification of a tokenizer's architecture: frozen values, without tensors or files.

TiTok: "An Image is Worth 32 Tokens for Reconstruction and Generation" (arXiv 2406.07550, section
3). TA-TiTok: "Democratizing Text-to-Image Masked Generative Models with Compact Text-Aware
One-Dimensional Tokens" (arXiv 2501.07730, section 3.1). MaskGIT-VQGAN: arXiv 2202.04200, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import shown

LAYOUTS = ("titok", "tatitok", "maskgit-vqgan")
KINDS = ("vq", "vae")
SCHEDULES = ("constant", "cosine")
# Far beyond every tokenizer there is, and small enough that no product of sizes overflows: a file
# must not be able to ask for a network that takes an hour or all memory to build.
MOST = 2**16
MOST_OF = {"num_tokens": 2**14, "codebook_size": 2**24, "num_embeddings": 2**24, "layers": 2**9}
MOST_LEVELS = 12


def _is_count(value: object, most: int = MOST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def check_counts(spec: object, *fields: str) -> None:
    """Raises ValueError unless these fields are whole numbers that a network can have."""
    for field in fields:
        value, most = getattr(spec, field), MOST_OF.get(field, MOST)
        if not _is_count(value, most):
            raise ValueError(
                f"{field} is {shown(value)}, expected a whole number of at least 1 "
                f"(at most {most})."
            )


def _boolean(spec: object, *fields: str) -> None:
    for field in fields:
        value = getattr(spec, field)
        if not isinstance(value, bool):
            raise ValueError(f"{field} is {shown(value)}, expected true or false.")


def check_choice(spec: object, field: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError unless the field has one of the `allowed` values."""
    if getattr(spec, field) not in allowed:
        raise ValueError(
            f"{field} is {shown(getattr(spec, field))}, expected one of {', '.join(allowed)}."
        )


@dataclass(frozen=True, kw_only=True)
class ViTSize:
    """Width (channels), number of residual blocks and of attention heads of a transformer."""

    width: int
    layers: int
    heads: int

    def __post_init__(self) -> None:
        check_counts(self, "width", "layers", "heads")
        if self.width % self.heads:
            raise ValueError(f"ViT width {self.width} is not a multiple of its {self.heads} heads.")


VIT_SIZES = {
    "small": ViTSize(width=512, layers=8, heads=8),
    "base": ViTSize(width=768, layers=12, heads=12),
    "large": ViTSize(width=1024, layers=24, heads=16),
}


@dataclass(frozen=True, kw_only=True)
class PixelStage:
    """Sizes of the MaskGIT-VQGAN: the legacy TiTok's second stage, or a tokenizer of its own.

    `norm_groups`, of every group normalization, cannot be read from weights, only from a config.
    """

    hidden_channels: int = 128
    channel_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: int = 2
    z_channels: int = 256
    num_embeddings: int = 1024
    norm_groups: int = 32

    def __post_init__(self) -> None:
        check_counts(self, *(f for f in type(self).__annotations__ if f != "channel_mult"))
        factors = self.channel_mult
        listed = isinstance(factors, list | tuple) and 1 <= len(factors) <= MOST_LEVELS
        most = MOST // self.hidden_channels
        if not listed or not all(_is_count(factor, most) for factor in factors):
            raise ValueError(
                f"channel_mult is {shown(factors)}, expected one whole number of at least 1 for "
                f"each of at most {MOST_LEVELS} levels (at most {most})."
            )
        object.__setattr__(self, "channel_mult", tuple(factors))
        if self.hidden_channels % self.norm_groups:
            raise ValueError(
                f"hidden_channels is {self.hidden_channels}, expected a multiple of "
                f"{self.norm_groups}."
            )

    @property
    def stride(self) -> int:
        """Pixels per latent position and axis."""
        return 2 ** (len(self.channel_mult) - 1)


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """Defaults of a tokenizer where a setting of `OptimizeConfig` is "auto".

    A tokenizer that says nothing gets what the published code of arXiv 2506.08257 takes for L-32.
    """

    lr: float = 0.1
    lr_schedule: str = "constant"

    def __post_init__(self) -> None:
        number = isinstance(self.lr, int | float) and not isinstance(self.lr, bool)
        if not number or not 0 < self.lr <= MOST:  # NaN too
            raise ValueError(f"lr is {shown(self.lr)}, expected a number above 0 (at most {MOST}).")
        check_choice(self, "lr_schedule", SCHEDULES)


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """Everything that decides a tokenizer's architecture and the shapes at its boundary.

    `legacy` names the layout of the first releases (S-128, B-64, L-32): the encoder reads its
    latents through a reshape that mixes them, and the decoder predicts codes of a second,
    convolutional stage (`pixel_stage`). `text_length` and `text_size` exist for TA-TiTok only.
    `recommended` decides nothing about the network, only how its tokens are best optimized.
    """

    name: str
    layout: str = "titok"
    kind: str = "vq"
    image_size: int = 256
    num_tokens: int
    token_size: int
    codebook_size: int | None = None
    l2_normalized: bool = False
    encoder: ViTSize | None = None
    decoder: ViTSize | None = None
    encoder_patch: int = 16
    decoder_patch: int = 16
    legacy: bool = False
    pixel_stage: PixelStage | None = None
    text_length: int | None = None
    text_size: int | None = None
    recommended: Recommended = Recommended()

    def __post_init__(self) -> None:
        check_choice(self, "layout", LAYOUTS)
        check_choice(self, "kind", KINDS)
        _boolean(self, "l2_normalized", "legacy")
        check_counts(
            self, "image_size", "num_tokens", "token_size", "encoder_patch", "decoder_patch"
        )
        if self.kind == "vq":
            check_counts(self, "codebook_size")
        elif self.codebook_size is not None or self.l2_normalized:
            raise ValueError(f"Tokenizer {self.name!r} is a VAE: it cannot have a codebook.")
        if self.layout == "maskgit-vqgan":
            self._check_vqgan()
        else:
            self._check_titok()

    @property
    def grid(self) -> int:
        """Positions per axis on the decoder's image side."""
        stride = self.pixel_stage.stride if self.pixel_stage else self.decoder_patch
        return self.image_size // stride

    def _check_vqgan(self) -> None:
        if self.pixel_stage is None or self.kind != "vq":
            raise ValueError(
                f"Tokenizer {self.name!r}: a MaskGIT-VQGAN needs a pixel_stage and kind 'vq'."
            )
        if self.image_size % self.pixel_stage.stride or self.num_tokens != self.grid**2:
            raise ValueError(
                f"Tokenizer {self.name!r} has num_tokens={self.num_tokens}, expected the square of "
                f"image_size={self.image_size} over the stride {self.pixel_stage.stride}."
            )

    def _check_titok(self) -> None:
        if self.encoder is None or self.decoder is None:
            raise ValueError(f"Tokenizer {self.name!r} needs the sizes of its encoder and decoder.")
        for side, patch in (("encoder", self.encoder_patch), ("decoder", self.decoder_patch)):
            if self.image_size % patch:
                raise ValueError(
                    f"Tokenizer {self.name!r} has image_size={self.image_size}, "
                    f"expected a multiple of its {side} patch {patch}."
                )
        if self.legacy != (self.pixel_stage is not None):
            raise ValueError(
                f"Tokenizer {self.name!r} has legacy={self.legacy} and pixel_stage="
                f"{self.pixel_stage}: a legacy tokenizer ends in a pixel stage, no other does."
            )
        if self.pixel_stage and self.pixel_stage.stride != self.decoder_patch:
            raise ValueError(
                f"Tokenizer {self.name!r} has a decoder patch of {self.decoder_patch}, but its "
                f"pixel stage enlarges by {self.pixel_stage.stride}."
            )
        text_aware = self.layout == "tatitok"
        if any((size is not None) != text_aware for size in (self.text_length, self.text_size)):
            raise ValueError(
                f"Tokenizer {self.name!r} of layout {self.layout!r} has text_length="
                f"{self.text_length} and text_size={self.text_size}: 'tatitok' needs both, "
                "and no other layout has them."
            )
