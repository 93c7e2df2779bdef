"""Which images of a pool are chosen for a text."""

from __future__ import annotations

import pytest
import torch

from tokenopt_core import load_guide
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample
from tokenopt_core.guides.retrieval import choose, embed_images, read_scenes, similarities

PROMPTS = ["a red circle on the left", "a blue square", "a dark photo"]


def test_scores_are_the_cosines_of_prompts_and_images(guide, images):
    scores = similarities(guide, PROMPTS, embed_images(guide, images))
    looks, texts = guide.encode_image(images), guide.encode_text(PROMPTS)
    assert scores.shape == (3, 3)
    assert torch.allclose(scores[1, 2], (texts[1] * looks[2]).sum(), atol=1e-6)
    assert (scores.abs() <= 1 + 1e-6).all()


def test_neighbours_and_chunks_change_no_embedding(guide, images):
    whole = embed_images(guide, images)
    assert torch.allclose(embed_images(guide, images, chunk=2), whole, atol=1e-6)
    assert torch.allclose(embed_images(guide, images[1:2])[0], whole[1], atol=1e-6)


def test_images_of_any_size_are_looked_at_as_their_central_square(guide, images):
    wide = torch.cat([torch.zeros(3, 3, 32, 8), images, torch.ones(3, 3, 32, 8)], dim=3)
    assert torch.allclose(embed_images(guide, wide), embed_images(guide, images), atol=1e-6)


def test_progress_is_told_and_may_stop_it(guide, images):
    seen = []
    embed_images(guide, images, chunk=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_images(guide, images, chunk=1, progress=cancel)


SCORES = torch.tensor([[0.1, 0.5, 0.3, 0.5, 0.2], [0.9, 0.1, 0.2, 0.3, 0.4]])


def test_the_best_is_the_first_of_the_highest(untouched_rng):
    assert choose(SCORES, "best") == [1, 0]


@pytest.mark.parametrize(
    ("percent", "allowed"),
    [(0.001, {1}), (20, {1}), (40, {1, 3}), (60, {1, 3, 2}), (100, set(range(5)))],
)
def test_the_top_is_that_share_of_the_images_and_one_at_least(percent, allowed, untouched_rng):
    drawn = {choose(SCORES, "top percent", percent=percent, seed=s)[0] for s in range(60)}
    assert drawn == allowed


def test_random_ignores_the_scores_and_reaches_all(untouched_rng):
    other = SCORES.flip(1)
    drawn = [choose(SCORES, "random", seed=seed) for seed in range(60)]
    assert drawn == [choose(other, "random", seed=seed) for seed in range(60)]
    assert {chosen[0] for chosen in drawn} == set(range(5))


def test_prompt_k_draws_with_seed_plus_k():
    """So equal prompts on several lines are given different seeds."""
    same = SCORES[:1].expand(40, -1)
    for how in ("top percent", "random"):
        drawn = choose(same, how, percent=60, seed=7)
        assert drawn[5:] == choose(same[5:], how, percent=60, seed=12)
        assert len(set(drawn)) > 1


@pytest.mark.parametrize(
    ("how", "percent", "part"),
    [
        ("worst", 10, "'worst', expected one of best, top percent, random"),
        ("top percent", 0, "percent is 0"),
        ("top percent", float("nan"), "percent is nan"),
        ("top percent", 101, "percent is 101"),
    ],
)
def test_bad_choices_are_refused(how, percent, part):
    with pytest.raises(ValueError, match=part):
        choose(SCORES, how, percent=percent)


def test_no_image_is_no_choice():
    with pytest.raises(ValueError, match="no image to choose from"):
        choose(torch.zeros(2, 0), "best")


def test_scenes_are_read_in_the_words_of_the_prompt():
    guide, scenes = load_guide("demo"), sample(8, 3)
    images, names = draw(scenes, 3), scenes.names()
    read = read_scenes(guide, images, ["A photo of a green star, dark"] * 8)
    for text, scene in zip(read, names, strict=True):
        article = "an" if scene["colour"] == "orange" else "a"
        thing = f"{article} {scene['colour']} {scene['shape']}"
        assert text == f"A photo of {thing}, {scene['light']}"
    assert read_scenes(guide, images[:1], ["something else"]) == ["something else"]
