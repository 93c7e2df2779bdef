"""Beside the mask a picture stays what it is: with masks that are not quite black, in any type."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from devtools.comfyui.checks import node, pixels, succeed

STAR = "a large green star in the middle, plain sky background, bright, sharp"


def easy_inpaint(image, mask, margin):
    models = {"models": "demo", "steps": 2, "tries": 1, "seed": 0}
    return node(
        "TokenOpt_EasyInpaint", image=image, mask=mask, prompt=STAR, **models, margin=margin
    )


def fit_image(image, mask):
    return node(
        "TokenOpt_FitImage", tokenizer=["1", 0], image=image, mask=mask, mode="crop",
        position=0.5, fill="edge", around_mask=True, margin=50,
    )  # fmt: skip


@pytest.fixture
def nearly_black(scene):
    """1 tokenizer, 30 one large scene, 33 a mask of 0.02 and 0.98 for its middle, as a JPEG file
    gives them."""
    graph = {"1": scene["1"], "2": scene["3"]}
    graph["2"]["inputs"]["batch_size"] = 1
    graph["30"] = node(
        "ImageScale", image=["2", 0], upscale_method="bicubic", width=512, height=512,
        crop="disabled",
    )  # fmt: skip
    graph["31"] = node("SolidMask", value=0.02, width=64, height=64)
    graph["32"] = node("SolidMask", value=0.98, width=16, height=16)
    graph["33"] = node(
        "MaskComposite", destination=["31", 0], source=["32", 0], x=24, y=24, operation="add"
    )
    return graph


def kept_around(graph, image, width):
    """A strip of so many pixels at the left of node `image`, told to node `image`9."""
    graph[f"{image}8"] = node("ImageCrop", image=[image, 0], width=width, height=512, x=0, y=0)
    graph[f"{image}9"] = node("Hostile_Digest", value=[f"{image}8", 0], nonce=0)


def test_a_nearly_black_mask_keeps_the_rest_to_the_last_bit(client, nearly_black):
    graph = nearly_black
    graph["4"] = easy_inpaint(["30", 0], ["33", 0], 50)
    for image in ("30", "4"):
        kept_around(graph, image, 128)  # what the square around the white part does not show
    run = succeed(client, graph)
    assert run.outputs["49"] == run.outputs["309"]
    (said,) = [line for line in run.outputs["4"]["tokenopt_notes"] if "mask" in line]
    assert "nowhere 0 (black): its darkest value is 0.02" in said


@pytest.mark.parametrize(
    ("dark", "told"), [(0.0, ""), (0.2, "0.2, so all of it may change"), (0.02, "0.02, what is")]
)
def test_fit_image_and_paste_back_say_what_they_make_of_a_mask(client, nearly_black, dark, told):
    graph = nearly_black
    graph["31"]["inputs"]["value"] = dark
    graph["40"] = fit_image(["30", 0], ["33", 0])
    paste = node("TokenOpt_PasteBack", image=["40", 0], fit=["40", 2], original=["30", 0])
    paste["inputs"] |= {"soft_edge": 4.0, "mask": ["33", 0]}
    graph["4"] = paste
    kept_around(graph, "4", 120)
    kept_around(graph, "30", 120)
    run = succeed(client, graph)
    for number in ("40", "4"):
        said = run.outputs[number]["tokenopt_notes"]
        assert len(said) == bool(told)
        assert told in " ".join(said)
    if dark < 0.05:
        assert run.outputs["49"] == run.outputs["309"]


def test_what_stays_keeps_its_type_so_that_a_saved_file_is_the_same(client, scene):
    """Half precision, which other packs give and ComfyUI itself with --fp16-intermediates."""
    levels = np.random.default_rng(0).integers(0, 256, (64, 192, 4), np.uint8)
    levels[..., 3] = 255
    levels[12:52, 78:114, 3] = 0  # transparent, so white in the mask
    name = client.upload(Image.fromarray(levels), "kept_pixels.png")
    graph = {"1": scene["1"], "2": node("LoadImage", image=name)}
    graph["3"] = node("Hostile_OddImage", image=["2", 0], kind="half")
    graph["4"] = easy_inpaint(["3", 0], ["2", 1], margin=10)
    graph["5"] = fit_image(["3", 0], ["2", 1])
    graph["6"] = node("TokenOpt_PasteBack", image=["4", 0], fit=["5", 2], original=["3", 0])
    graph["6"]["inputs"]["soft_edge"] = 4.0
    for number, image in (("7", "3"), ("8", "4"), ("9", "6")):
        graph[number] = node("SaveImage", images=[image, 0], filename_prefix="kept")
    run = succeed(client, graph)
    (original,) = pixels(client, run, "7")
    assert (original == levels[..., :3]).all()
    for number in ("8", "9"):
        (saved,) = pixels(client, run, number)
        assert (saved[:, :64] == original[:, :64]).all()
        assert (saved[:, 128:] == original[:, 128:]).all()
        assert (saved[20:44, 82:110] != original[20:44, 82:110]).any()
