"""What a caption says can be read back."""

from __future__ import annotations

import random

from tokenopt_core.demo.captions import caption, compose, mentioned, reworded
from tokenopt_core.demo.world import sample


def test_captions_are_read_back_in_all_their_words():
    scenes, chance = sample(300, 5), random.Random(2)
    assert [mentioned(text) for text in caption(scenes)] == scenes.names()
    for scene in scenes.names():
        assert mentioned(compose(scene, rng=chance)) == scene


def test_only_what_is_named():
    assert mentioned("A Green star") == {"colour": "green", "shape": "star"}
    assert mentioned("a photograph of my cat") == {}


def test_longer_words_hide_the_shorter_ones_in_them():
    assert mentioned("a heart, sky blue background") == {"shape": "heart", "background": "sky"}
    assert mentioned("a ring, out of focus") == {"shape": "ring", "focus": "blurred"}
    assert mentioned("a starfish") == {}


def test_the_first_of_two_values_counts():
    assert mentioned("a red and blue star") == {"colour": "red", "shape": "star"}


def test_only_values_that_differ_are_reworded():
    text = "A photo of a violet donut, dark light"
    assert reworded(text, {"colour": "purple", "shape": "ring"}) == text
    scene = {"colour": "red", "light": "bright", "size": "small"}
    assert reworded(text, scene) == "A photo of a red donut, bright"
    assert reworded("a green star on the sky", {}) == "a green star on the sky"
