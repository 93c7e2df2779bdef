"""Classes by their names: ImageNet's, or those that a generator brings along.

ImageNet's names are open_clip's list, and the lemmas of the WordNet synsets, which timm brings
along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import nearest, needs_packages, shown
from .base import ANY
from .spec import GeneratorSpec

IMAGENET_CLASSES = 1000
ANY_NAME = "any"
SHOWN = 4


class _Vocabulary(NamedTuple):
    """A name for each class, its other names, and the labels of each name in small letters."""

    names: tuple[str, ...]
    lemmas: tuple[str, ...]
    by_name: Mapping[str, frozenset[int]]
    by_lemma: Mapping[str, frozenset[int]]


def class_names(spec: GeneratorSpec) -> tuple[str, ...]:
    """A name for each class; () for classes without names."""
    return _vocabulary(spec).names


def class_labels(spec: GeneratorSpec, wanted: Sequence[str | int]) -> Tensor:
    """Labels (b,) int64 of classes given by name or number; -1, "any" and "" are any class.

    Raises:
        ValueError: no such class, or a name of several classes; the message has others.
    """
    if isinstance(wanted, str) or not isinstance(wanted, Sequence):
        raise ValueError(f"labels is {shown(wanted)}: expected a list of names or numbers.")
    return torch.tensor([_label(spec, each) for each in wanted], dtype=torch.int64)


def _label(spec: GeneratorSpec, wanted: str | int) -> int:
    text = str(wanted).strip() if isinstance(wanted, str | Integral) else ""
    number = _whole(text)
    if isinstance(wanted, str) and text.lower() in ("", ANY_NAME):
        return ANY
    if number is not None and ANY <= number < spec.num_classes:
        return number
    vocabulary = _vocabulary(spec)
    found = vocabulary.by_name.get(text.lower(), frozenset())
    if len(found) != 1:
        found |= vocabulary.by_lemma.get(text.lower(), frozenset())
    if len(found) == 1:
        return next(iter(found))
    if found:
        several = ", ".join(
            f"{i} ({vocabulary.names[i]}: {vocabulary.lemmas[i]})" for i in sorted(found)[:SHOWN]
        )
        raise ValueError(
            f"label {shown(wanted)} names several classes of {spec.name!r}: {several}; give the "
            "number of the one that is meant."
        )
    names = [*vocabulary.by_name, *vocabulary.by_lemma]
    like = f", or a name like {nearest(text, names)}" if names else ""
    raise ValueError(
        f"label {shown(wanted)} is no class of {spec.name!r}: expected a number from 0 to "
        f"{spec.num_classes - 1} (-1 for any class){like}."
    )


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _vocabulary(spec: GeneratorSpec) -> _Vocabulary:
    if spec.class_names:
        return _indexed(spec.class_names, spec.class_names)
    return _imagenet() if spec.num_classes == IMAGENET_CLASSES else _indexed((), ())


@lru_cache(maxsize=1)
def _imagenet() -> _Vocabulary:
    with needs_packages():
        from open_clip import IMAGENET_CLASSNAMES
        from timm.data import ImageNetInfo
    return _indexed(tuple(IMAGENET_CLASSNAMES), tuple(ImageNetInfo().label_descriptions()))


def _indexed(names: tuple[str, ...], lemmas: tuple[str, ...]) -> _Vocabulary:
    """The vocabulary of names and lemmas: for each class a name, and several with commas."""
    return _Vocabulary(
        names,
        lemmas,
        _labels_by([[name] for name in names]),
        _labels_by([text.split(",") for text in lemmas]),
    )


def _labels_by(names: Sequence[Sequence[str]]) -> dict[str, frozenset[int]]:
    labels: dict[str, frozenset[int]] = {}
    for label, own in enumerate(names):
        for name in own:
            key = name.strip().lower()
            labels[key] = labels.get(key, frozenset()) | {label}
    return labels
