"""Classes by name or number: ImageNet's and a generator's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.generators.conftest import SPEC
from tokenopt_core.generators import RELEASES, class_labels, class_names

IMAGENET = RELEASES["titok-l32"].spec
NAMED = replace(SPEC, class_names=tuple(f"thing {i}" for i in range(10)))


def test_imagenet_by_name_lemma_and_number():
    wanted = ["tench", "Tinca tinca", " Golden Retriever ", "0", 207, "any", "", -1]
    assert class_labels(IMAGENET, wanted).tolist() == [0, 0, 207, 0, 207, -1, -1, -1]
    assert class_names(IMAGENET)[:2] == ("tench", "goldfish")
    assert len(class_names(IMAGENET)) == 1000


def test_every_name_of_imagenet_is_found_or_has_a_namesake():
    namesakes = set()
    for label, name in enumerate(class_names(IMAGENET)):
        try:
            assert class_labels(IMAGENET, [name]).tolist() == [label]
        except ValueError:
            namesakes.add(name)
    assert namesakes == {"missile", "sunglasses"}


def test_a_name_of_several_classes_asks_for_the_number():
    with pytest.raises(ValueError, match=r"'crane' names several classes .* 134 \(crane bird: cra"):
        class_labels(IMAGENET, ["crane"])


@pytest.mark.parametrize("wanted", ["doog", 1000, "1000", -2, 2.5, None])
def test_no_class(wanted):
    message = r"label .* is no class of 'titok-l32': expected a number from 0 to 999 \(-1 for any"
    with pytest.raises(ValueError, match=message):
        class_labels(IMAGENET, ["tench", wanted])


def test_names_of_a_generators_own():
    assert class_labels(NAMED, ["THING 3", "any", 7]).tolist() == [3, -1, 7]
    with pytest.raises(ValueError, match="or a name like thing 9"):
        class_labels(NAMED, ["thingy 9"])


def test_classes_without_names():
    assert class_names(SPEC) == ()
    assert class_labels(SPEC, ["4"]).tolist() == [4]
    with pytest.raises(
        ValueError, match=r"'tench' is no class of 'tiny': .* to 9 \(-1 for any cla"
    ):
        class_labels(SPEC, ["tench"])
    with pytest.raises(ValueError, match="labels is 'tench': expected a list of names or numbers"):
        class_labels(SPEC, "tench")
