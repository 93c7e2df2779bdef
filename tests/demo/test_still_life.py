"""The rendered demo world: scenes, captions and attributes as a user sees them."""

import random

import pytest
import torch

from tokenopt_core.demo.still_life import (
    ATTRIBUTES,
    IMAGE_SIZE,
    Attributes,
    caption,
    render,
    sample,
)
from tokenopt_core.demo.still_life.captions import compose, mentioned, vocabulary
from tokenopt_core.demo.still_life.solids import SOLIDS


def test_a_seed_means_the_same_scenes():
    assert torch.equal(sample(16, seed=3).indices, sample(16, seed=3).indices)
    assert not torch.equal(sample(16, seed=3).indices, sample(16, seed=4).indices)
    scenes = sample(4, seed=3)
    assert torch.equal(render(scenes, seed=1), render(scenes, seed=1))
    assert not torch.equal(render(scenes, seed=1), render(scenes, seed=2))


def test_no_global_random_state_is_touched():
    before = torch.get_rng_state()
    render(sample(2, seed=0), seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_scenes_are_images():
    images = render(sample(32, seed=1), seed=1)
    assert images.shape == (32, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1


def test_a_scene_alone_is_the_same_as_in_a_batch():
    """The first scene of a batch gets the same random numbers as it gets alone."""
    scenes = sample(24, seed=8)
    alone = render(Attributes(scenes.indices[:1]), seed=8)
    assert torch.allclose(render(scenes, seed=8)[:1], alone, atol=2e-3)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_value_is_drawn_differently(name):
    base = {key: values[0] for key, values in ATTRIBUTES.items()} | {"size": "large"}
    scenes = [base | {name: value} for value in ATTRIBUTES[name]]
    changed = torch.cat([render(Attributes.from_names([scene]), seed=5) for scene in scenes])
    distance = torch.cdist(changed.flatten(1), changed.flatten(1))
    assert (distance + torch.eye(len(scenes)) * 99 > 1).all()


def test_attributes_can_be_read_from_the_pixels():
    """A linear reading of tiny images tells what covers the picture; two scenes that differ only in
    random numbers are closer than two that differ in an attribute."""
    scenes = sample(400, seed=21).replace(focus="sharp")
    images = torch.nn.functional.avg_pool2d(render(scenes, seed=21), 8).flatten(1)
    images = torch.cat([images, torch.ones(len(images), 1)], dim=1)
    for name in ("floor", "light", "place"):
        wanted = scenes.column(name)
        targets = torch.nn.functional.one_hot(wanted).float()
        gram = images[:300].T @ images[:300] + 0.1 * torch.eye(images.shape[1])
        weights = torch.linalg.solve(gram, images[:300].T @ targets[:300])
        right = (images[300:] @ weights).argmax(1) == wanted[300:]
        assert right.float().mean() > 0.9, name


def test_the_object_has_its_colour():
    scenes = sample(8, seed=2).replace(
        shape="sphere", place="middle", size="large", light="day", material="matt", focus="sharp"
    )
    middle = render(scenes.replace(colour="red"), seed=2)[:, :, 66:76, 60:68].mean((2, 3))
    assert (middle[:, 0] > 2 * middle[:, 1:].amax(1)).all()
    middle = render(scenes.replace(colour="blue"), seed=2)[:, :, 66:76, 60:68].mean((2, 3))
    assert (middle[:, 2] > 1.5 * middle[:, :2].amax(1)).all()


def test_evenings_are_warmer_and_blurred_scenes_smoother():
    scenes = sample(24, seed=2)
    day, evening = (render(scenes.replace(light=v), seed=2) for v in ("day", "evening"))
    warmth = [(images[:, 0] - images[:, 2]).mean((1, 2)) for images in (day, evening)]
    assert (warmth[1] > warmth[0] + 0.1).all()
    sharp, blurred = (render(scenes.replace(focus=v), seed=2) for v in ("sharp", "blurred"))
    edges = [images.diff(dim=3).square().mean((1, 2, 3)) for images in (sharp, blurred)]
    assert (edges[1] < 0.6 * edges[0]).all()


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_stand_on_the_floor_inside_their_sphere(name):
    solid, generator = SOLIDS[name], torch.Generator().manual_seed(1)
    points = torch.rand(3, 40_000, generator=generator) * 3 - 1.5
    points[1] += 1.5
    distance = solid.distance(*points)
    inside = points[:, distance < 0]
    assert inside[1].min() < 0.12, "it floats"
    assert (inside - torch.tensor([[0], [solid.middle], [0.0]])).norm(dim=0).max() <= solid.radius
    below = solid.distance(points[0], torch.full_like(points[0], -0.02), points[2])
    assert (below > 0).all(), "it reaches below the floor"
    other = points + 0.05 * torch.randn(points.shape, generator=generator)
    slope = (solid.distance(*other) - distance).abs() / (other - points).norm(dim=0)
    assert slope.max() < 1.06, "a ray could step over its surface"


def test_names_and_indices_agree():
    scenes = sample(8, seed=6)
    assert torch.equal(Attributes.from_names(scenes.names()).indices, scenes.indices)
    assert list(ATTRIBUTES)[:2] == ["shape", "colour"]


def test_unknown_values_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="shape is 'moon'; choose one of: sphere, cube"):
        sample(1).replace(shape="moon")
    with pytest.raises(ValueError, match="colour is None"):
        Attributes.from_names([{"shape": "star"}])


def test_captions_in_full_and_in_short():
    scene = {
        "shape": "cube",
        "colour": "green",
        "material": "shiny",
        "size": "small",
        "place": "left",
        "floor": "sand",
        "backdrop": "clouds",
        "light": "evening",
        "focus": "sharp",
    }
    scenes = Attributes.from_names([scene])
    assert caption(scenes) == [
        "a small shiny green cube on the left, on sand, under clouds, in the evening, sharp"
    ]
    assert caption(scenes, short=True) == ["a green cube"]
    assert caption(scenes.replace(colour="orange"), short=True) == ["an orange cube"]
    assert compose(scene, keep=("material", "place")) == "a shiny thing on the left"


def test_captions_are_read_back_in_all_their_words():
    scenes, chance = sample(300, 5), random.Random(2)
    assert [mentioned(text) for text in caption(scenes)] == scenes.names()
    for scene in scenes.names():
        text = compose(scene, rng=chance)
        assert mentioned(text) == scene
        assert set(text.replace(",", " ,").split()) <= set(vocabulary())


def test_only_what_is_named():
    assert mentioned("A Green star") == {"colour": "green", "shape": "star"}
    assert mentioned("a ball under a blue sky") == {"shape": "sphere", "backdrop": "clear"}
    assert mentioned("a photograph of my cat") == {}
