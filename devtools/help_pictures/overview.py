"""The picture at the head of the README: four things that tokens are good for, on the demo."""

from __future__ import annotations

from PIL import Image

from .losses import FOUR, four_edits, hole
from .sheet import Tile, draw, named_row
from .stage import HEART, Sketch, Stage
from .tokens import from_noise


def overview(stage: Stage) -> Image.Image:
    return draw([_edits(stage), [*_filled(stage), *_from_noise(stage)], _copied(stage)])


def _edits(stage: Stage) -> list[Tile]:
    before, after = four_edits(stage)
    shown = dict(zip(FOUR, after, strict=True))
    names = ("green star", "blue heart", "yellow moon")
    return [Tile(before, "edit by text"), *(Tile(shown[name], f"“… {name}”") for name in names)]


def _filled(stage: Stage) -> list[Tile]:
    s, scene, mask, clip = hole()
    after = s.optimize(s.encode(scene), s.keeping(clip, scene, mask))
    grey = s(".EmptyImage", width=64, height=64, batch_size=1, color=0x808080)
    before, after = stage.images(s, s.pasted(scene, grey, mask), after)
    return [Tile(before[0], "fill a hole"), Tile(after[0], "“… green circle”")]


def _from_noise(stage: Stage) -> list[Tile]:
    (before, *_), (after, *_) = from_noise(stage)
    return [Tile(before, "from noise"), Tile(after, "“… blue heart”")]


def _copied(stage: Stage) -> list[Tile]:
    s = Sketch()
    scene, other = s.scene(**HEART), s.scene(colour="blue", light="dark", background="mint")
    target, reference = s.encode(scene), s.encode(other)
    copied = s("Copy", target=target, reference=reference, positions="6")
    way = {"positions": "all", "strength": 0.5, "steps": 1, "quantize": False}
    half = s("Blend", tokenizer=s.tokenizer, target=target, reference=reference, **way)
    shown = stage.images(s, scene, other, s.decode(copied), s.decode(half))
    names = ("or change tokens", "of two pictures", "one token copied", "half of the way")
    return named_row(names, shown)
