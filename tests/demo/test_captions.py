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


def test_articles_and_places_fit_the_new_words():
    assert reworded("A green star", {"colour": "orange"}) == "An orange star"
    assert reworded("an orange star", {"colour": "blue"}) == "a blue star"
    assert reworded("a small orange star", {"colour": "blue"}) == "a small blue star"
    text = "a star in the center, dark"
    assert reworded(text, {"position": "left"}) == "a star on the left, dark"
    assert reworded("a star on the left", {"position": "middle"}) == "a star in the middle"


def test_a_caption_reworded_is_the_caption_of_the_other_scene():
    first, second = sample(200, 1), sample(200, 2)
    pairs = zip(caption(first), second.names(), caption(second), strict=True)
    assert all(reworded(text, scene) == other for text, scene, other in pairs)
