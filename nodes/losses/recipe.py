"""Losses as they travel between nodes: recipes, built where gradients are allowed.

A recipe is a flat list of weighted terms. It holds no tensor on the GPU and no library loss: those
are made by the optimizer, inside `gradient_scope`, for the batch and image size at hand. A plain
function from another pack becomes a term of its own, see `recipe_of`.
Axes: b images, h and w pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from torch import Tensor

from ...tokenopt_core.losses.base import WeightedSum
from ...tokenopt_core.losses.masked import MaskedComposite
from ..host.memory import Level
from ..host.sockets import LoadedGuide
from .prompts import check_words, readable_prompts
from .terms import Batch, CallableTerm, ClipTerm, MaskedTerm, Term, check_batch, fitted


@dataclass(frozen=True, eq=False)
class CompositeTerm:
    """Other losses, which see the target outside the mask."""

    inner: LossRecipe
    target: Tensor = field(repr=False)  # (1 | b, 3, h, w)
    mask: Tensor = field(repr=False)  # (1 | b, 1, h, w)
    rim: int = 0
    weight: float = 1.0

    @property
    def guides(self) -> tuple[LoadedGuide, ...]:
        return self.inner.guides

    def build(self, batch: Batch) -> MaskedComposite:
        check_batch("Masked Composite", batch, image=self.target, mask=self.mask)
        inner = self.inner.build(batch)
        return MaskedComposite(inner, *fitted(self.target, self.mask, self.rim, batch))


@dataclass(frozen=True, eq=False)
class LossRecipe:
    """What a loss socket carries: terms to be added up."""

    terms: tuple[Term, ...]

    @property
    def guides(self) -> tuple[LoadedGuide, ...]:
        """The models that have to be loaded, each once."""
        return tuple(dict.fromkeys(g for term in self.terms if term.weight for g in term.guides))

    def build(self, batch: Batch) -> WeightedSum:
        """The library's loss for a batch of images, the weighted sum of all terms.

        A term of weight 0 is left out, unless it is a masked loss: those cost nothing, and a reset
        takes the known pixels from them.
        """
        self.check_weights()
        used = [term for term in self.terms if term.weight or isinstance(term, MaskedTerm)]
        return WeightedSum([(term.weight, term.build(batch)) for term in used])

    def check_weights(self) -> None:
        """Raises ValueError if every term is switched off."""
        if not any(term.weight for term in self.terms):
            raise ValueError(
                "every connected loss has the weight 0, so there is nothing to optimize; give one "
                "of them a weight above 0."
            )

    def times(self, weight: float) -> LossRecipe:
        """The recipe with all its weights multiplied."""
        return LossRecipe(tuple(replace(term, weight=term.weight * weight) for term in self.terms))

    def every_term(self) -> Iterator[Term]:
        """All terms, those inside of composites too."""
        for term in self.terms:
            yield term
            if isinstance(term, CompositeTerm):
                yield from term.inner.every_term()

    @property
    def smallest_chunks(self) -> Level:
        """The level beyond which a pass of the guides sees no less."""
        crops = max((getattr(term, "crops", 0) for term in self.every_term()), default=0)
        return Level.ONE_CROP if crops > 1 else Level.ONE_IMAGE

    def changed(self, change: Callable[[Term], Term]) -> LossRecipe:
        """The recipe with `change` made to every term, those inside of composites too."""
        terms = []
        for term in self.terms:
            if isinstance(term, CompositeTerm):
                term = replace(term, inner=term.inner.changed(change))
            terms.append(change(term))
        return LossRecipe(tuple(terms))


def recipe_of(loss: object, name: str = "loss") -> LossRecipe:
    """What came through a loss socket, as a recipe: one already, or any function of another pack.

    Raises:
        ValueError: it is neither; `name` is the input's name in the message.
    """
    if isinstance(loss, LossRecipe):
        return loss
    if callable(loss):
        return LossRecipe((CallableTerm(loss),))
    raise ValueError(
        f"{name} is {type(loss).__name__}, expected a loss of this pack or a function from images "
        "(b, 3, h, w) to one number each (b,)."
    )


def prompt_remarks(term: ClipTerm) -> list[str]:
    """Sentences about the prompts for the user, before anything runs.

    Raises:
        ValueError: a prompt cannot be read, by its form or because the guide knows no word of it.
    """
    loss = term.loss(readable_prompts(term.lines), term.source)
    check_words(term.guide, [part.text for parts in loss.prompts for part in parts if part.weight])
    if term.negative_weight:
        check_words(term.guide, loss.negative_texts, "negative_prompt")
    check_words(term.guide, loss.source_texts, "source_prompt")
    return loss.remarks()
