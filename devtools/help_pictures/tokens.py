"""Recipes of the nodes that make, change and analyse tokens."""

from __future__ import annotations

from PIL import Image

from .sheet import Tile, draw, named_row, stacked, whole
from .stage import HEART, Sketch, Source, Stage


def demo_scene(stage: Stage) -> Image.Image:
    s = Sketch()
    (images,) = stage.images(s, s.mixed(3, 8))
    tiles = [Tile(image) for image in images]
    return draw([tiles[:4], tiles[4:]])


def encode(stage: Stage) -> Image.Image:
    s = Sketch()
    wide = s.beside(s.scene(), s.scene(**HEART), s.scene(colour="blue"))
    tokens = s.encode(wide)
    codes = s("Quantize", tokenizer=s.tokenizer, tokens=tokens)
    image, back = stage.images(s, wide, s.decode(tokens))
    (numbers,) = stage.texts(s, (codes[0], 1))
    tiles = [Tile(_in_lines(numbers, 4), "16 tokens (as codes)"), Tile(back[0], "what they hold")]
    return draw([[Tile(image[0], "a picture of any shape: its central square counts")], tiles])


def quantize(stage: Stage) -> Image.Image:
    s = Sketch()
    scene = s.scene(**HEART)
    codes = s("Quantize", tokenizer=s.tokenizer, tokens=s.encode(scene))
    before, after = stage.images(s, scene, s.decode(codes))
    (numbers,) = stage.texts(s, (codes[0], 1))
    return draw(
        [
            [
                Tile(before[0], "image"),
                Tile(_in_lines(numbers, 4), "codes"),
                Tile(after[0], "decoded"),
            ]
        ]
    )


def decode(stage: Stage) -> Image.Image:
    s = Sketch()
    tokens, noise = s.encode(s.scene(**HEART)), _random(s, 7)
    half = s("Copy", target=tokens, reference=noise, positions="0-7")
    shown = stage.images(s, *map(s.decode, (tokens, noise, half)))
    return draw([named_row(("tokens of a scene", "random tokens", "eight of each"), shown)])


def random_tokens(stage: Stage) -> Image.Image:
    before, after = from_noise(stage)
    names = [f"seed {3 + i}" for i in range(len(before))]
    below = ["“a large blue heart …”", "", ""]
    return draw(
        [
            [Tile(*tile) for tile in zip(before, names, strict=True)],
            [Tile(image, caption=words) for image, words in zip(after, below, strict=True)],
        ]
    )


def from_noise(stage: Stage) -> list[list[Image.Image]]:
    """Three random starts, and what one prompt makes of them."""
    s = Sketch()
    noise = _random(s, 3, 3)
    loss = s.clip("a large blue heart on the left, plain sand background, bright, sharp")
    after = s.optimize(noise, loss, steps=150, lr=0.3, noise_scale=0.6)
    return stage.images(s, s.decode(noise), after)


def copy(stage: Stage) -> Image.Image:
    s = Sketch()
    scenes = s.scene(**HEART), s.scene(colour="blue", light="dark", background="mint")
    mixed = s("Copy", target=s.encode(scenes[0]), reference=s.encode(scenes[1]), positions="6")
    shown = stage.images(s, *scenes, s.decode(mixed))
    return draw([named_row(("target", "reference", "token 6 copied"), shown)])


def blend(stage: Stage) -> Image.Image:
    s = Sketch()
    heart = {**HEART, "colour": "red"}
    ends = [s.encode(s.scene(**heart)), s.encode(s.scene(**{**heart, "shape": "star"}))]
    way = s(
        "Blend",
        tokenizer=s.tokenizer,
        target=ends[0],
        reference=ends[1],
        positions="all",
        strength=1.0,
        steps=5,
        quantize=False,
    )
    (images,) = stage.images(s, s.decode(way))
    names = ("target", "1/4", "1/2", "3/4", "reference")
    return draw([[Tile(*tile) for tile in zip(images, names, strict=True)]])


def set_codes(stage: Stage) -> Image.Image:
    codes = Sketch()
    other = codes.encode(codes.scene(**HEART, background="rose"))
    numbers = codes("Quantize", tokenizer=codes.tokenizer, tokens=other)
    (text,) = stage.texts(codes, (numbers[0], 1))
    wanted = text.split()
    edits = ", ".join(f"{position}: {wanted[position]}" for position in (2, 5, 14))
    s = Sketch()
    scene = s.scene(**HEART)
    after = s("Set", tokenizer=s.tokenizer, tokens=s.encode(scene), codes=edits)
    shown = stage.images(s, scene, s.decode(after))
    return draw([named_row(("before", f"codes: {edits}"), shown)])


def perturb(stage: Stage) -> Image.Image:
    s = Sketch()
    search, _ = s(
        "PerturbSearch",
        tokenizer=s.tokenizer,
        tokens=s.encode(s.scene()),
        positions="1, 6, 9, 14",
        search="exact",
        share=0.1,
        direction="maximize",
        top_k=1,
    )
    (sheet,) = stage.images(s, (search, 4))
    return whole(sheet[0])


def influence(stage: Stage) -> Image.Image:
    s = Sketch()
    influences, _ = s(
        "PixelInfluence",
        tokenizer=s.tokenizer,
        tokens=s.encode(s.scene(**HEART)),
        samples=16,
        seed=0,
    )
    (sheet,) = stage.images(s, (influences, 0))
    return whole(sheet[0])


def importance(stage: Stage) -> Image.Image:
    s = Sketch()
    importances, _ = s(
        "Importance",
        tokenizer=s.tokenizer,
        guide=s.guide,
        prompts="bright\ndark\n\nsharp\nblurred",
        image=s.mixed(11, 64),
        folder="",
        best=1,
        effect="off",
        effect_images=32,
        seed=0,
    )
    (charts,) = stage.images(s, (importances, 0))
    return stacked(*map(whole, charts))


def _random(s: Sketch, seed: int, count: int = 1) -> Source:
    given = {"seed": seed, "batch_size": count, "scale": 1.0, "kind": "features", "best_of": 1}
    return s("RandomTokens", tokenizer=s.tokenizer, **given)


def _in_lines(numbers: str, each: int) -> str:
    parts = numbers.split()
    return "\n".join("  ".join(parts[i : i + each]) for i in range(0, len(parts), each))


RECIPES = {
    "DemoScene": demo_scene,
    "Encode": encode,
    "Quantize": quantize,
    "Decode": decode,
    "RandomTokens": random_tokens,
    "Copy": copy,
    "Blend": blend,
    "Set": set_codes,
    "PerturbSearch": perturb,
    "PixelInfluence": influence,
    "Importance": importance,
}
