"""Recipes of the nodes that generate tokens by class."""

from __future__ import annotations

from typing import Any

from PIL import Image

from .sheet import Tile, draw
from .stage import HEART, Sketch, Source, Stage

OWN = {"steps": 0, "guidance_scale": -1.0, "temperature": -1.0, "preview_every": 0}
MOST = "0-11"  # of the demo tokenizer's 16 tokens


def load_generator(stage: Stage) -> Image.Image:
    s = Sketch()
    classes = ("green star", "blue heart", "yellow moon", "any")
    (images,) = stage.images(s, _generated(s, "\n".join(classes)))
    return draw([[Tile(*tile) for tile in zip(images, classes, strict=True)]])


def generate(stage: Stage) -> Image.Image:
    s = Sketch()
    scene = s.scene(**HEART)
    free = _generated(s, "yellow heart", batch_size=3)
    kept = {"keep_tokens": s.encode(scene), "keep_positions": MOST}
    varied = _generated(s, "yellow heart", batch_size=3, **kept)
    (image,), first, second = stage.images(s, scene, free, varied)
    names = [f"seed {3 + i}" for i in range(3)]
    rows = ("“yellow heart”", None, first), (f"tokens {MOST} of this kept", image, second)
    return draw(
        [
            [_head(words, shown), *(Tile(*tile) for tile in zip(images, names, strict=True))]
            for words, shown, images in rows
        ]
    )


def _generated(s: Sketch, labels: str, batch_size: int = 1, **kept: Any) -> Source:
    """The images of Generate Tokens."""
    generator = s("LoadGenerator", model="demo")
    given = {"labels": labels, "batch_size": batch_size, "seed": 3, "keep_positions": MOST}
    number, _ = s(
        "Generate", generator=generator, tokenizer=s.tokenizer, **{**given, **OWN, **kept}
    )
    return number, 1


def _head(words: str, image: Image.Image | None) -> Tile:
    return Tile(words, "class") if image is None else Tile(image, words)


RECIPES = {"LoadGenerator": load_generator, "Generate": generate}
