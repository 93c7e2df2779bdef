"""Recipes of the easy nodes, and of those that take images of any size."""

from __future__ import annotations

from PIL import Image

from .sheet import Tile, draw, named_row
from .stage import STAR, Sketch, Source, Stage

FIT = {"mode": "crop", "position": 0.5, "fill": "edge", "around_mask": True, "margin": 50}
EASY = {"models": "demo", "steps": 150, "tries": 2, "seed": 0}
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
    mask = s.mask((64, 64), (8, 8, 48, 48))
    prompt = "a large purple heart in the middle, plain sand background, bright, sharp"
    easy = {**EASY, "steps": 200, "tries": 3}  # those of its template
    after = s("EasyInpaint", image=scene, mask=mask, prompt=prompt, margin=50, **easy)
    shown = stage.images(s, scene, s(".MaskToImage", mask=mask), after)
    names = ("picture", "mask", "“… purple heart”")
    return draw([named_row(names, shown)])


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
    square, hole = (fitted, 0), (fitted, 1)
    composite = s("MaskedComposite", loss=s.clip(HEART), image=square, mask=hole, feather=0)
    edited = s.optimize(s.encode(square), s.keeping(composite, square, hole), seed=0)
    after = s("PasteBack", image=edited, fit=(fitted, 2), original=wide, soft_edge=4)
    before, change, result = stage.images(s, wide, edited, after)
    tiles = [Tile(before[0], "original"), Tile(change[0], "edited square")]
    return draw([tiles, [Tile(result[0], "put back")]])


def _wide(s: Sketch) -> tuple[Source, Source]:
    """Three scenes side by side, and a mask over the object of the middle one."""
    others = s.scene(position="middle"), s.scene(colour="green", position="right")
    wide = s.beside(s.scene(shape="star", colour="yellow"), *others)
    return wide, s.mask((192, 64), (74, 8, 44, 48))


RECIPES = {
    "EasyTextEdit": easy_text_edit,
    "EasyInpaint": easy_inpaint,
    "FitImage": fit_image,
    "PasteBack": paste_back,
}
