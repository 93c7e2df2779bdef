"""Recipes of the nodes that save tokens as text or files, and of those that load them."""

from __future__ import annotations

from PIL import Image

from .sheet import Tile, draw
from .stage import HEART, Sketch, Stage


def tokens_to_text(stage: Stage) -> Image.Image:
    image, text, _ = _as_text(stage)
    return draw([[Tile(image, "image"), Tile(text, "one line of text")]])


def text_to_tokens(stage: Stage) -> Image.Image:
    _, text, again = _as_text(stage)
    return draw([[Tile(text, "pasted text"), Tile(again, "decoded")]])


def save_tokens(stage: Stage) -> Image.Image:
    image, file, _ = _kept(stage)
    return draw([[Tile(image, "image"), Tile(file, "its tokens in a file")]])


def load_tokens(stage: Stage) -> Image.Image:
    _, file, again = _kept(stage)
    return draw([[Tile(file, "file"), Tile(again, "loaded and decoded")]])


def saved_image_tokens(stage: Stage) -> Image.Image:
    s = Sketch()
    tokens = s("Quantize", tokenizer=s.tokenizer, tokens=s.encode(s.scene(**HEART)))
    prefix = {"filename_prefix": "help/picture", "tokens": tokens, "tokenizer": s.tokenizer}
    saver, _ = s("SaveImage", images=s.decode(tokens), **prefix)
    saved = stage.run(s).outputs[saver]["images"][0]
    name = f"{saved['subfolder']}/{saved['filename']} [output]"
    s = Sketch()
    read, _ = s("SavedImageTokens", tokenizer=s.tokenizer, image=name)
    (again,) = stage.images(s, s.decode((read, 0)))
    (text,) = stage.texts(s, (read, 1))
    file = stage.client.view(saved)
    tiles = [Tile(file, "a saved PNG file"), Tile(text, "carries its codes")]
    return draw([[*tiles, Tile(again[0], "decoded from them")]])


def _as_text(stage: Stage) -> tuple[Image.Image, str, Image.Image]:
    """A scene, its line of text, and the image made of the line alone."""
    s = Sketch()
    scene = s.scene(**HEART)
    line = s("TokensToText", tokenizer=s.tokenizer, tokens=s.encode(scene))
    (image,) = stage.images(s, scene)
    (text,) = stage.texts(s, line)
    s = Sketch()
    read = s("TextToTokens", tokenizer=s.tokenizer, text=text)
    (again,) = stage.images(s, s.decode(read))
    return image[0], text, again[0]


def _kept(stage: Stage) -> tuple[Image.Image, str, Image.Image]:
    """A scene, the name and size of the file of its tokens, and the image loaded from it."""
    s = Sketch()
    scene = s.scene(**HEART)
    tokens = s("Quantize", tokenizer=s.tokenizer, tokens=s.encode(scene))
    saver, _ = s("SaveTokens", tokenizer=s.tokenizer, tokens=tokens, filename_prefix="help/heart")
    shown, _ = s(".PreviewImage", images=scene)
    run = stage.run(s)
    (image,) = stage.client.images(run, shown)
    name = stage.saved_name(run, saver)
    s = Sketch()
    loaded = s("LoadTokens", tokenizer=s.tokenizer, file=f"{name} [output]")
    (again,) = stage.images(s, s.decode(loaded))
    return image, stage.file_facts(name), again[0]


RECIPES = {
    "TokensToText": tokens_to_text,
    "TextToTokens": text_to_tokens,
    "SaveTokens": save_tokens,
    "LoadTokens": load_tokens,
    "SavedImageTokens": saved_image_tokens,
}
