"""The nodes beside ComfyUI's own: alpha, masks, batches, lists, upscalers, VAEs, odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from devtools.comfyui.checks import node, pixels, succeed
from tokenopt_core.demo import ATTRIBUTES

WIDE = (96, 40)  # width and height of a picture that no tokenizer takes as it is


@pytest.fixture
def wide():
    """1 tokenizer, 2 and 3 a wide picture, 4 and 5 a wide mask that is white at the right."""
    any_scene = dict.fromkeys(ATTRIBUTES, "random") | {"light": "bright", "focus": "sharp"}
    size = {"width": WIDE[0], "height": WIDE[1]}
    scaled = {"image": ["2", 0], "upscale_method": "bicubic", "crop": "disabled"}
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_DemoScene", seed=11, batch_size=1, **any_scene),
        "3": node("ImageScale", **scaled, **size),
        "4": node("SolidMask", value=1.0, width=24, height=24),
        "5": node(
            "MaskComposite", destination=["6", 0], source=["4", 0], x=60, y=8, operation="add"
        ),
        "6": node("SolidMask", value=0.0, **size),
    }


def fit(image, mask=None, mode="crop"):
    inputs = {"tokenizer": ["1", 0], "image": image, "mode": mode, "position": 0.5}
    inputs |= {"fill": "edge", "around_mask": True, "margin": 25}
    return node("TokenOpt_FitImage", **inputs, **({"mask": mask} if mask else {}))


def paste(image, fitted, original, soft_edge=0.0):
    return node(
        "TokenOpt_PasteBack", image=image, fit=fitted, original=original, soft_edge=soft_edge
    )


def through_tokens(graph, image, first):
    """Nodes `first` and the next: an image encoded and decoded."""
    graph[str(first)] = node("TokenOpt_Encode", tokenizer=["1", 0], image=image)
    graph[str(first + 1)] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=[str(first), 0])


def digest(graph, number, value):
    graph[number] = node("Hostile_Digest", value=value, nonce=0)


def test_a_file_with_alpha_keeps_it_and_only_the_hole_changes(client, wide):
    generator = np.random.default_rng(0)
    array = generator.integers(0, 256, (70, 110, 4), dtype=np.uint8)
    array[..., 3] = 255
    array[20:45, 30:60, 3] = 0
    name = client.upload(Image.fromarray(array), "chain_alpha.png")
    wide["7"] = node("LoadImage", image=name)
    wide["8"] = node("JoinImageWithAlpha", image=["7", 0], alpha=["7", 1])
    wide["9"] = fit(["8", 0], ["7", 1])
    through_tokens(wide, ["9", 0], 10)
    wide["12"] = paste(["11", 0], ["9", 2], ["8", 0])
    wide["13"] = node("SaveImage", images=["12", 0], filename_prefix="chain/alpha")
    wide["14"] = node("PreviewImage", images=["9", 0])
    through_tokens(wide, ["7", 0], 20)
    through_tokens(wide, ["8", 0], 22)
    digest(wide, "30", ["21", 0])
    digest(wide, "31", ["23", 0])
    run = succeed(client, wide)
    (result,) = pixels(client, run, "13")
    hole = array[..., 3] == 0
    assert result.shape == (70, 110, 4)
    assert np.array_equal(result[..., 3], array[..., 3])
    assert np.array_equal(result[~hole], array[~hole])
    assert (result[hole][:, :3] != array[hole][:, :3]).any(1).mean() > 0.9
    assert pixels(client, run, "14").shape == (1, 64, 64, 3)
    assert run.outputs["30"] == run.outputs["31"]  # four channels are encoded as three


def test_masks_of_files_and_of_core_nodes(client, wide):
    """Load Image (as Mask), Grow Mask, Feather Mask; and ImageCompositeMasked does the same."""
    picture = np.zeros((40, 96, 3), np.uint8)
    picture[8:32, 60:84, 0] = 255
    name = client.upload(Image.fromarray(picture), "chain_mask.png")
    wide["7"] = node("LoadImageMask", image=name, channel="red")
    wide["8"] = node("GrowMask", mask=["7", 0], expand=2, tapered_corners=True)
    wide["9"] = node("MaskComposite", **{**wide["5"]["inputs"], "source": ["13", 0]})
    wide["13"] = node("FeatherMask", mask=["4", 0], left=2, top=2, right=2, bottom=2)
    wide["10"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    for number, mask in (("20", ["7", 0]), ("21", ["5", 0]), ("22", ["8", 0]), ("23", ["9", 0])):
        wide[number] = fit(["3", 0], mask)
        wide[f"1{number}"] = paste(["10", 0], [number, 2], ["3", 0])
        digest(wide, f"2{number}", [f"1{number}", 0])
    wide["11"] = node("ImageCompositeMasked", destination=["3", 0], source=["12", 0], x=0, y=0,
                      resize_source=True, mask=["7", 0])  # fmt: skip
    wide["12"] = node("EmptyImage", width=96, height=40, batch_size=1, color=0)
    digest(wide, "40", ["11", 0])
    run = succeed(client, wide)
    file, painted, grown, feathered = (run.outputs[f"22{k}"]["digest"] for k in range(4))
    assert file == painted == run.outputs["40"]["digest"]
    assert len({*file, *grown, *feathered}) == 3


def test_batches_and_lists(client, wide):
    """RepeatImageBatch, ImageFromBatch, RebatchImages: one square, or one call, for each."""
    wide["7"] = node("RepeatImageBatch", image=["3", 0], amount=3)
    wide["8"] = fit(["7", 0], ["5", 0])
    through_tokens(wide, ["8", 0], 9)
    wide["11"] = paste(["10", 0], ["8", 2], ["7", 0], 4.0)
    wide["12"] = node("ImageFromBatch", image=["11", 0], batch_index=1, length=2)
    wide["13"] = node("RebatchImages", images=["11", 0], batch_size=2)
    wide["14"] = fit(["13", 0], mode="pad")
    wide["15"] = paste(["14", 0], ["14", 2], ["13", 0])
    for number, images in (("20", ["12", 0]), ("21", ["15", 0]), ("22", ["11", 0])):
        wide[number] = node("PreviewImage", images=images)
    wide["23"] = node("SaveAnimatedWEBP", images=["11", 0], filename_prefix="chain/film", fps=6.0,
                      lossless=True, quality=80, method="fastest")  # fmt: skip
    run = succeed(client, wide)
    assert pixels(client, run, "20").shape == (2, 40, 96, 3)
    whole, listed = pixels(client, run, "22"), pixels(client, run, "21")
    assert whole.shape == listed.shape == (3, 40, 96, 3)
    assert (whole == whole[0]).all()
    assert np.abs(whole.astype(int) - listed).mean() < 6  # into a smaller square and back
    assert client.images(run, "23")[0].size == WIDE


def test_a_folder_of_pictures_of_all_sizes_with_a_prompt_each(client, server, wide):
    """Lists of images and texts: the easy node runs once for each pair."""
    folder = server.base / "input" / "chain_pairs"
    folder.mkdir(exist_ok=True)
    sizes = {"a": (50, 30), "b": (30, 80), "c": (64, 64)}
    for name, size in sizes.items():
        Image.new("RGB", size, (90, 150, 210)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text("a small red star on the left", encoding="utf-8")
    wide["7"] = node("LoadImageTextDataSetFromFolder", folder=folder.name)
    wide["8"] = node("TokenOpt_EasyTextEdit", image=["7", 0], prompt=["7", 1], models="demo",
                     steps=1, tries=1, seed=0, fit="stretch")  # fmt: skip
    wide["9"] = node("PreviewImage", images=["8", 0])
    run = succeed(client, wide)
    assert {image.size for image in client.images(run, "9")} == set(sizes.values())


def test_squares_enlarged_by_an_upscale_model_come_back_as_finely(client, server, wide):
    """A real one for spandrel, of zeros: it doubles every pixel."""
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "1.weight": (4,), "2.weight": (4, 4, 3, 3)}
    shapes |= {"2.bias": (4,), "3.weight": (4,), "4.weight": (12, 4, 3, 3), "4.bias": (12,)}
    folder = server.base / "models" / "upscale_models"
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"body.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    save_file(weights, folder / "twice.safetensors")
    wide["7"] = node("ImageScaleBy", image=["3", 0], upscale_method="lanczos", scale_by=3.0)
    wide["8"] = fit(["7", 0])
    through_tokens(wide, ["8", 0], 9)
    wide["11"] = node("UpscaleModelLoader", model_name="twice.safetensors")
    wide["12"] = node("ImageUpscaleWithModel", upscale_model=["11", 0], image=["10", 0])
    for number, squares in (("20", ["10", 0]), ("21", ["12", 0])):
        wide[f"3{number}"] = paste(squares, ["8", 2], ["7", 0])
        wide[number] = node("PreviewImage", images=[f"3{number}", 0])
    run = succeed(client, wide)
    plain, enlarged = pixels(client, run, "20"), pixels(client, run, "21")
    assert plain.shape == enlarged.shape == (1, 120, 288, 3)
    assert np.array_equal(plain[:, :, :84], enlarged[:, :, :84])
    assert 0 < np.abs(plain.astype(int) - enlarged).mean() < 8


def test_through_a_vae_and_an_edge_detector(client, wide):
    wide["7"] = node("VAELoader", vae_name="pixel_space")
    through_tokens(wide, ["3", 0], 8)
    wide["10"] = node("VAEEncode", pixels=["9", 0], vae=["7", 0])
    wide["11"] = node("VAEDecode", samples=["10", 0], vae=["7", 0])
    through_tokens(wide, ["11", 0], 12)
    wide["14"] = node("Canny", image=["9", 0], low_threshold=0.05, high_threshold=0.1)
    through_tokens(wide, ["14", 0], 15)
    for number, images in (
        ("20", ["9", 0]),
        ("21", ["11", 0]),
        ("22", ["14", 0]),
        ("23", ["16", 0]),
    ):
        wide[number] = node("PreviewImage", images=images)
    wide["24"] = node("PreviewImage", images=["13", 0])
    run = succeed(client, wide)
    decoded, again, edges = (pixels(client, run, number) for number in ("20", "21", "22"))
    assert np.abs(decoded.astype(int) - again).max() <= 1
    assert set(np.unique(edges)) == {0, 255}
    assert pixels(client, run, "23").shape == pixels(client, run, "24").shape == (1, 64, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (1500, 17)])
def test_pictures_of_odd_sizes_and_of_grey(client, wide, size):
    wide["3"]["inputs"].update(width=size[0], height=size[1])
    wide["7"] = node("Hostile_OddImage", image=["3", 0], kind="grey")
    wide["8"] = node("SolidMask", value=1.0, width=8, height=8)
    previews = {}
    for k, mode in enumerate(("crop", "pad", "stretch")):
        wide[f"2{k}"] = fit(["3", 0], ["8", 0] if k else None, mode)
        through_tokens(wide, [f"2{k}", 0], 30 + 2 * k)
        previews[f"4{k}"] = paste([str(31 + 2 * k), 0], [f"2{k}", 2], ["7" if k else "3", 0], 4.0)
    wide |= previews
    wide |= {f"5{k}": node("PreviewImage", images=[f"4{k}", 0]) for k in range(3)}
    run = succeed(client, wide)
    for k in range(3):
        assert pixels(client, run, f"5{k}").shape == (1, size[1], size[0], 3)
