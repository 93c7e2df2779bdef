"""Recipes of the easy nodes, and of those that take pictures of any size."""

from __future__ import annotations

from PIL import Image

from .sheet import Tile, draw
from .stage import STAR, Sketch, Source, Stage

FIT = {"mode": "crop", "position": 0.5, "fill": "edge", "around_mask": True, "margin": 50}
HEART = "a large blue heart in the middle, plain sky background, bright, sharp"


def easy_text_edit(stage: Stage) -> Image.Image:
    s = Sketch()
    scene = s.scene()
    after = s("EasyTextEdit", image=scene, prompt=STAR, fit="stretch", **EASY)
    before, after = stage.images(s, scene, after)
    return draw(
        [[Tile(before[0], "picture"), Tile(f"“{STAR}”", "prompt"), Tile(after[0], "result")]]
    )


def easy_inpaint(stage: Stage) -> Image.Image:
    s = Sketch()
    scene = s.scene(position="middle", background="sand")
    empty = s(".SolidMask", value=0.0, width=64, height=64)
    white = s(".SolidMask", value=1.0, width=48, height=48)
    mask = s(".MaskComposite", destination=empty, source=white, x=8, y=8, operation="add")
    prompt = "a large purple heart in the middle, plain sand background, bright, sharp"
    easy = {**EASY, "steps": 200, "tries": 3}  # those of its template
    after = s("EasyInpaint", image=scene, mask=mask, prompt=prompt, margin=50, **easy)
    shown = stage.images(s, scene, s(".MaskToImage", mask=mask), after)
    names = ("picture", "mask", "“… purple heart”")
    return draw([[Tile(images[0], name) for name, images in zip(names, shown, strict=True)]])


def fit_image(stage: Stage) -> Image.Image:
    s = Sketch()
    wide, mask = _wide(s)
    fitted, _ = s("FitImage", tokenizer=s.tokenizer, image=wide, mask=mask, **FIT)
    whole, _ = s("FitImage", tokenizer=s.tokenizer, image=wide, **{**FIT, "mode": "stretch"})
    padded, _ = s("FitImage", tokenizer=s.tokenizer, image=wide, **{**FIT, "mode": "pad"})
    squares = ((fitted, 0), (padded, 0), (whole, 0))
    picture, painted, *shown = stage.images(s, wide, s(".MaskToImage", mask=mask), *squares)
    names = ("around the mask", "or pad", "or stretch")
    fits = [Tile(images[0], name) for name, images in zip(names, shown, strict=True)]
    return draw([[Tile(picture[0], "picture")], [Tile(painted[0], "mask")], fits])


def paste_back(stage: Stage) -> Image.Image:
    s = Sketch()
    wide, mask = _wide(s)
    fitted, _ = s("FitImage", tokenizer=s.tokenizer, image=wide, mask=mask, **{**FIT, "margin": 0})
    seen = s("MaskedComposite", loss=s.clip(HEART), image=(fitted, 0), mask=(fitted, 1), feather=0)
    keep = s("MaskedL1Loss", image=(fitted, 0), mask=(fitted, 1), weight=2.0, feather=0, norm="L1")
    loss = s("CombineLosses", loss_a=seen, loss_b=keep, weight_a=1.0, weight_b=1.0)
    edited = s.optimize(s.encode((fitted, 0)), loss, seed=0)
    after = s("PasteBack", image=edited, fit=(fitted, 2), original=wide, soft_edge=4)
    original, square, result = stage.images(s, wide, edited, after)
    tiles = [Tile(original[0], "original"), Tile(square[0], "edited square")]
    return draw([tiles, [Tile(result[0], "put back")]])


def _wide(s: Sketch) -> tuple[Source, Source]:
    """Three scenes side by side, and a mask over the object of the middle one."""
    wide = s.scene(shape="star", colour="yellow")
    for other in (s.scene(position="middle"), s.scene(colour="green", position="right")):
        wide = s(".ImageStitch", image1=wide, image2=other, **BESIDE)
    empty = s(".SolidMask", value=0.0, width=192, height=64)
    white = s(".SolidMask", value=1.0, width=44, height=48)
    return wide, s(".MaskComposite", destination=empty, source=white, x=74, y=8, operation="add")


BESIDE = {"direction": "right", "match_image_size": True}
BESIDE |= {"spacing_width": 0, "spacing_color": "white"}
EASY = {"models": "demo", "steps": 150, "tries": 2, "seed": 0}

RECIPES = {
    "EasyTextEdit": easy_text_edit,
    "EasyInpaint": easy_inpaint,
    "FitImage": fit_image,
    "PasteBack": paste_back,
}
