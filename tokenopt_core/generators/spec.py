"""Specification of a generator: frozen values, without tensors or files."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import shown
from ..tokenizers.spec import ViTSize, check_choice, check_counts
from .config import USUAL, SamplingConfig

KINDS = ("imagebert", "uvitbert")


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec:
    """Everything that decides a generator's network, and the shapes at its boundary.

    Args:
        kind: "imagebert" (a BERT) or "uvitbert" (a U-ViT, arXiv 2209.12152).
        num_tokens, codebook_size: of the tokenizer whose codes it makes.
        num_classes: labels are 0 to num_classes - 1.
        token_size: of continuous tokens; None for a generator of codes.
        network: width, blocks and heads; a U-ViT has one block more, in the middle.
        mlp_width: hidden channels of each block.
        class_names: of all classes; empty if they are ImageNet's, or have none.
        recommended: how its tokens are best sampled, complete.
    """

    name: str
    kind: str
    num_tokens: int
    codebook_size: int
    num_classes: int
    token_size: int | None = None
    network: ViTSize
    mlp_width: int
    class_names: tuple[str, ...] = ()
    recommended: SamplingConfig = USUAL

    def __post_init__(self) -> None:
        check_choice(self, "kind", KINDS)
        check_counts(self, "num_tokens", "codebook_size", "num_classes", "mlp_width")
        if self.kind == "uvitbert" and self.network.layers % 2:
            raise ValueError(
                f"layers is {self.network.layers}, expected an even number: a U-ViT has as many "
                "blocks on its way out as on its way in."
            )
        names = self.class_names
        listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        if not listed or len(names) not in (0, self.num_classes):
            raise ValueError(
                f"class_names is {shown(names)}, expected {self.num_classes} texts, one for each "
                "class."
            )
        object.__setattr__(self, "class_names", tuple(names))
