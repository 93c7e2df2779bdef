"""The demo world: scenes, captions and attributes as a user of `tokenopt_core.demo` sees them."""

import pytest
import torch

from tokenopt_core import load_guide
from tokenopt_core.demo import ATTRIBUTES, Attributes, caption, judge, render, sample
from tokenopt_core.demo.captions import compose, vocabulary


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
    assert images.shape == (32, 3, 64, 64)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_value_is_drawn_differently(name):
    base = {key: values[0] for key, values in ATTRIBUTES.items()} | {"pattern": "striped"}
    scenes = [base | {name: value} for value in ATTRIBUTES[name]]
    changed = torch.cat([render(Attributes.from_names([scene]), seed=5) for scene in scenes])
    distance = torch.cdist(changed.flatten(1), changed.flatten(1))
    assert (distance + torch.eye(len(scenes)) * 9 > 0.3).all()


def test_dark_scenes_are_darker_and_blurred_ones_smoother():
    scenes = sample(24, seed=2)
    bright, dark = (render(scenes.replace(light=v), seed=2) for v in ("bright", "dark"))
    assert (dark.mean(dim=(1, 2, 3)) < 0.6 * bright.mean(dim=(1, 2, 3))).all()
    sharp, blurred = (render(scenes.replace(focus=v), seed=2) for v in ("sharp", "blurred"))
    edges = [(images.diff(dim=3).abs().amax(dim=(1, 2, 3))) for images in (sharp, blurred)]
    assert (edges[1] < 0.7 * edges[0]).all()


def test_names_and_indices_agree():
    scenes = sample(8, seed=6)
    assert torch.equal(Attributes.from_names(scenes.names()).indices, scenes.indices)


def test_unknown_values_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="shape is 'cube'; choose one of: circle, square"):
        sample(1).replace(shape="cube")
    with pytest.raises(ValueError, match="colour is None"):
        Attributes.from_names([{"shape": "star"}])


def test_captions_name_every_attribute():
    scene = Attributes.from_names(
        [
            {
                "shape": "star",
                "colour": "orange",
                "size": "small",
                "position": "left",
                "background": "navy",
                "pattern": "dotted",
                "light": "dark",
                "focus": "blurred",
            }
        ]
    )
    assert caption(scene) == [
        "a small orange star on the left, dotted navy background, dark, blurred"
    ]
    assert compose(scene.names()[0], keep=("colour", "shape")) == "an orange star"


def test_the_demo_guide_knows_every_word():
    words = [word for word in vocabulary() if word.isalpha()]
    assert not load_guide("demo").remarks([" ".join(words[:20]), " ".join(words[20:40])])
    assert load_guide("demo").remarks(["a purple hippopotamus"])


def test_the_judge_wants_a_batch_of_rgb():
    with pytest.raises(ValueError, match=r"images has shape \(3, 64, 64\)"):
        judge(torch.rand(3, 64, 64))


def test_the_judge_takes_other_sizes():
    scenes = sample(8, seed=9).replace(focus="sharp", light="bright")
    images = render(scenes, seed=9)
    larger = torch.nn.functional.interpolate(images, 256, mode="bilinear")
    assert judge(larger).agrees(scenes, ("colour", "position", "background", "light")).all()
