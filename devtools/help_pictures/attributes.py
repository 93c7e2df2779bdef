"""Recipes of the nodes for attributes, presets and seeds."""

from __future__ import annotations

from PIL import Image

from ..sheets import contact_sheet
from .sheet import Tile, draw, named_row
from .stage import Sketch, Source, Stage

EXAMPLES, POOL = 24, 64
PRESETS = ("lighting", "blur", "object position")
NEW = {"shape": "star", "colour": "yellow", "background": "mint", "position": "middle"}


def attribute_vector(stage: Stage) -> Image.Image:
    s = Sketch()
    dark, bright, attribute = _learnt(s)
    scene = s.scene(**NEW)
    after = s.decode(_applied(s, scene, attribute, 1.0))
    shown = stage.images(s, dark, bright, scene, after)
    with_, without = (
        [Tile(image, label if i == 0 else "") for i, image in enumerate(images[:3])]
        for label, images in zip(("24 dark scenes …", "… and 24 bright"), shown, strict=False)
    )
    new = [Tile(shown[2][0], "a new scene"), Tile(shown[3][0], "with the attribute")]
    return draw([[*with_, new[0]], [*without, new[1]]])


def apply_attribute(stage: Stage) -> Image.Image:
    s = Sketch()
    _, _, attribute = _learnt(s)
    scene = s.scene(**NEW, light="dark")
    strengths = "-1.5, -1, -0.5, 0, 1"
    after = s.decode(_applied(s, scene, attribute, 1.0, strengths))
    (images,) = stage.images(s, after)
    names, below = strengths.split(", "), ["", "", "strength", "", ""]
    return draw([[Tile(*tile) for tile in zip(images, names, below, strict=True)]])


def save_attribute(stage: Stage) -> Image.Image:
    dark, bright, file, _ = _kept(stage)
    tiles = [Tile(dark, "with: dark"), Tile(bright, "without: bright")]
    return draw([[*tiles, Tile(file, "the difference, in a file")]])


def load_attribute(stage: Stage) -> Image.Image:
    _, _, file, name = _kept(stage)
    s = Sketch()
    attribute = s("LoadAttribute", tokenizer=s.tokenizer, file=f"{name} [output]")
    scene = s.scene(**NEW)
    shown = stage.images(s, scene, s.decode(_applied(s, scene, attribute, 1.0)))
    tiles = [Tile(file, "file"), Tile(shown[0][0], "a scene")]
    return draw([[*tiles, Tile(shown[1][0], "with the loaded attribute")]])


def position_preset(stage: Stage) -> Image.Image:
    s = Sketch()
    target = s.scene(**NEW)
    reference = s.scene(colour="blue", light="dark", focus="blurred", background="mint")
    features = s.encode(target), s.encode(reference)
    results = []
    for preset in PRESETS:
        positions = s("PositionPreset", tokenizer=s.tokenizer, preset=preset)
        mixed = s("Copy", target=features[0], reference=features[1], positions=positions)
        results.append(s.decode(mixed))
    shown = stage.images(s, target, reference, *results)
    names = ("target", "reference", *PRESETS)
    return draw([named_row(names, shown)])


def seed_retrieval(stage: Stage) -> Image.Image:
    s = Sketch()
    pool = s.mixed(11, POOL)
    prompts = "a large pink triangle, rose background\na large green square, olive background"
    chosen = s(
        "SeedRetrieval",
        guide=s.guide,
        prompts=prompts,
        image=pool,
        folder="",
        choose="best",
        percent=10.0,
        seed=0,
        size=64,
    )
    scenes, retrieved = stage.images(s, pool, chosen)
    tiles = [Tile(contact_sheet(scenes, 8), f"{POOL} scenes")]
    for image, prompt in zip(retrieved, prompts.splitlines(), strict=True):
        tiles.append(Tile(image, f"“{prompt}”"))
    return draw([tiles])


def _learnt(s: Sketch) -> tuple[Source, Source, Source]:
    """Dark scenes, the same ones bright, and the attribute between them."""
    dark, bright = (s.mixed(1, EXAMPLES, light=light) for light in ("dark", "bright"))
    attribute = s(
        "AttributeVector",
        tokenizer=s.tokenizer,
        tokens_with=s.encode(dark),
        tokens_without=s.encode(bright),
        positions="all",
        strongest=1,
        name_with="dark",
        name_without="bright",
    )
    return dark, bright, attribute


def _applied(
    s: Sketch, scene: Source, attribute: Source, strength: float, strengths: str = ""
) -> Source:
    given = {"strength": strength, "positions": "", "strengths": strengths}
    return s("ApplyAttribute", tokens=s.encode(scene), attribute=attribute, **given)


def _kept(stage: Stage) -> tuple[Image.Image, Image.Image, str, str]:
    """A dark and a bright example, the name and size of the file, and its place."""
    s = Sketch()
    dark, bright, attribute = _learnt(s)
    saver, _ = s("SaveAttribute", attribute=attribute, filename_prefix="help/dark")
    (first, *_), (second, *_) = stage.images(s, dark, bright)
    name = stage.saved_name(stage.run(s), saver)
    text = stage.file_facts(name)
    return first, second, text, name


RECIPES = {
    "AttributeVector": attribute_vector,
    "ApplyAttribute": apply_attribute,
    "SaveAttribute": save_attribute,
    "LoadAttribute": load_attribute,
    "PositionPreset": position_preset,
    "SeedRetrieval": seed_retrieval,
}
