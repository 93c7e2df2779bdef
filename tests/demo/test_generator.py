"""What the demo generator makes, by the judge: the class that was asked for, and variety."""

from __future__ import annotations

import pytest

from tokenopt_core import check_fit, class_names, load_generator, load_tokenizer
from training.evaluate import SHIPPED, generator_figures

FOLDER = SHIPPED / "generator"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the demo generator is not trained yet")


@pytest.fixture(scope="module")
def figures():
    return generator_figures(load_tokenizer("demo"), n=1024)


def test_it_is_small_and_fits_the_tokenizer():
    assert (FOLDER / "model.safetensors").stat().st_size <= 4e6
    generator = load_generator("demo")
    check_fit(generator, load_tokenizer("demo"))
    assert len(class_names(generator.spec)) == 64
    assert class_names(generator.spec)[1] == "orange circle"


def test_most_images_show_their_class(figures):
    assert figures["as_asked"] >= 0.9
    assert figures["classes_above_75_percent"] >= 60


def test_they_differ_as_scenes_do(figures):
    for share in figures["differences"].values():
        assert share == pytest.approx(1, abs=0.1)


def test_held_tokens_are_better_seen_than_pasted(figures):
    held = figures["held"]
    assert held["n"] >= 128
    assert held["during"] > held["pasted"]
