"""Recipes of the nodes that load models, of losses, optimization and judge."""

from __future__ import annotations

import json

from PIL import Image

from .sheet import Tile, draw, named_row, stacked, whole
from .stage import STAR, Sketch, Source, Stage

_CROPS = {"random_crops": True, "weight": 1.0}
_OPTIONS = {"lr_schedule": "constant", "warmup": 0, "max_grad_norm": 0.0, "locked": ""}
_OPTIONS |= {"patience": 0, "min_gain": 0.001, "target": "", "seconds": 0.0, "precision": "auto"}
_OPTIONS |= {"clamp": True, "warm_restart": False}
# What the template several_prompts asks for, and the same in two words.
REST = "plain sky background, bright, sharp:1 | dark:-0.2"
FOUR = {
    "green star": f"a large green star on the left, {REST}",
    "blue heart": f"a large blue heart on the left, {REST}",
    "sand": f"a large red circle on the left, {REST.replace('sky', 'sand')}",
    "yellow moon": f"a large yellow moon on the left, {REST}",
}


def load_tokenizer(stage: Stage) -> Image.Image:
    s = Sketch()
    scenes = s.mixed(3, 4)
    before, after = stage.images(s, scenes, s.decode(s.encode(scenes)))
    names = ["pictures", "", "", ""], ["the same from 16 tokens each", "", "", ""]
    rows = zip((before, after), names, strict=True)
    return draw([[Tile(*tile) for tile in zip(*row, strict=True)] for row in rows])


def load_guide(stage: Stage) -> Image.Image:
    s = Sketch()
    prompt = "a large red circle on the left, plain sky background"
    changes = ({}, {"colour": "blue"}, {"shape": "star", "background": "navy"})
    scenes = s.scene()
    for change in (*changes[1:], {"shape": "moon", "colour": "yellow", "light": "dark"}):
        scenes = s(".ImageBatch", image1=scenes, image2=s.scene(**change))
    scores = s("Judge", image=scenes, guide=s.guide, prompt=prompt)
    (images,) = stage.images(s, scenes)
    (table,) = stage.texts(s, scores)
    values = [line.split()[1] for line in table.splitlines()[1:5]]
    labels = ["“a large red circle on the left, …”", "", "", ""]
    captions = [f"{'similarity ' * (not i)}{value}" for i, value in enumerate(values)]
    tiles = [Tile(*tile) for tile in zip(images, labels, captions, strict=True)]
    return draw([tiles])


def clip_loss(stage: Stage) -> Image.Image:
    before, after = four_edits(stage)
    results = [Tile(image, f"“… {words} …”") for image, words in zip(after, FOUR, strict=True)]
    return draw([[Tile(before, "before"), *results]])


def four_edits(stage: Stage) -> tuple[Image.Image, list[Image.Image]]:
    """A red circle, and what each of the four prompts makes of it."""
    s = Sketch()
    scene = s.scene()
    start = s.encode(s(".RepeatImageBatch", image=scene, amount=len(FOUR)))
    loss = s.clip("\n".join(FOUR.values()))
    after = s.optimize(start, loss, steps=200, lr=0.3, seed=20, noise_scale=0.6)
    before, after = stage.images(s, scene, after)
    return before[0], after


def image_prompt_loss(stage: Stage) -> Image.Image:
    s = Sketch()
    scene, prompt = s.scene(), s.scene(shape="star", colour="green", background="sand")
    loss = s("ImagePromptLoss", guide=s.guide, image=prompt, crops=4, mirror=False, **_CROPS)
    after = s.optimize(s.encode(scene), loss, lr=0.3)
    names = ("before", "image prompt", "after")
    return draw([named_row(names, stage.images(s, scene, prompt, after))])


def masked_l1_loss(stage: Stage) -> Image.Image:
    s, scene, mask, clip = hole()
    both, start = s.keeping(clip, scene, mask), s.encode(scene)
    alone, kept = s.optimize(start, clip), s.optimize(start, both)
    shown = stage.images(s, scene, s(".MaskToImage", mask=mask), alone, kept)
    names = ("image", "mask", "CLIP Loss alone", "with L1 Masked Loss")
    return draw([named_row(names, shown)])


def masked_composite(stage: Stage) -> Image.Image:
    s, scene, mask, clip = hole()
    composite = s("MaskedComposite", loss=clip, image=scene, mask=mask, feather=0)
    edited = s.optimize(s.encode(scene), s.keeping(composite, scene, mask))
    pasted = s.pasted(scene, edited, mask)
    shown = stage.images(s, scene, s(".MaskToImage", mask=mask), pasted)
    return draw([named_row(("image", "mask", "“… green circle …”"), shown)])


def pixel_penalty(stage: Stage) -> Image.Image:
    s = Sketch()
    scene, clip = s.scene(), s.clip(STAR)
    calm = s("PixelPenalty", total_variation=0.2, range=0.0)
    both = s.sum(clip, calm)
    start, rough = s.encode(scene), {"quantize": False, "token_noise": False, "steps": 120}
    shown = stage.images(
        s, scene, s.optimize(start, clip, **rough), s.optimize(start, both, **rough)
    )
    return draw([named_row(("before", "quantize off", "and total_variation 0.2"), shown)])


def combine_losses(stage: Stage) -> Image.Image:
    s = Sketch()
    scene, target = s.scene(), s.scene(shape="ring", colour="purple", background="navy")
    text = s.clip("a large star")
    image = s("ImagePromptLoss", guide=s.guide, image=target, crops=4, mirror=False, **_CROPS)
    both = s.sum(text, image)
    start = s.encode(scene)
    edited = [s.optimize(start, loss, steps=100, lr=0.3) for loss in (text, image, both)]
    shown = stage.images(s, scene, target, *edited)
    names = ("before", "image prompt", "“a large star”", "like the image prompt", "both")
    return draw([named_row(names, shown)])


def optimizer(stage: Stage) -> Image.Image:
    s = Sketch()
    options = s("OptimizeOptions", **_OPTIONS, trajectory_frames=6)
    number, _ = s.optimize(s.encode(s.scene()), s.clip(STAR), options=options)
    frames, chart = stage.images(s, (number, 3), (number, 2))
    return stacked(draw([[Tile(frame) for frame in frames]]), whole(chart[0]))


def optimizer_options(stage: Stage) -> Image.Image:
    s = Sketch()
    scene = s.scene()
    start = s.encode(scene)
    loss = s.clip("a large green star on the left, plain sky background, dark, sharp")
    fast = {"steps": 100, "lr": 0.3}
    locked = s("OptimizeOptions", **{**_OPTIONS, "locked": "6"}, trajectory_frames=24)
    results = [s.optimize(start, loss, **fast), s.optimize(start, loss, options=locked, **fast)]
    shown = stage.images(s, scene, *results)
    names = ("before", "“… green star …, dark”", "the same, locked: 6 (light)")
    return draw([named_row(names, shown)])


def sweep(stage: Stage) -> Image.Image:
    s = Sketch()
    settings = {"setting_1": "lr", "values_1": "0.05; 0.2; 0.5", "setting_2": "none"}
    settings |= {"values_2": "", "steps": 80, "lr": 0.2, "seed": 0, "quantize": True}
    settings |= {"ema_decay": 0.95, "noise_scale": 0.0, "regularize": "none", "reg_weight": 0.02}
    settings |= {"reset_every": 0, "keep": "average"}
    result = s(
        "Sweep", tokenizer=s.tokenizer, tokens=s.encode(s.scene()), loss=s.clip(STAR), **settings
    )
    (grid,) = stage.images(s, result)
    return whole(grid[0])


def judge(stage: Stage) -> Image.Image:
    s = Sketch()
    scene, loss = s.scene(), s.clip(STAR)
    start = s.encode(scene)
    cheat = s.clip(STAR, random_crops=False)
    good = s.optimize(start, loss)
    bad = s.optimize(start, cheat, quantize=False, lr=0.6, noise_scale=0.0, steps=100)
    both = s(".ImageBatch", image1=good, image2=bad)
    scores = s("Judge", image=both, guide=s.guide, prompt=STAR, before=scene)
    before, after = stage.images(s, scene, both)
    (table,) = stage.texts(s, scores)
    verdicts = [line.split(maxsplit=4) for line in table.splitlines()[1:3]]
    captions = [f"CLIP {clip}, judge {seen}: {said}" for _, clip, _, seen, said in verdicts]
    names = ("crops, quantize on", "no crops, quantize off")
    tiles = [Tile(*tile) for tile in zip(after, names, captions, strict=True)]
    return draw([[Tile(before[0], "before"), *tiles]])


def save_image(stage: Stage) -> Image.Image:
    s = Sketch()
    number, _ = s.optimize(s.encode(s.scene()), s.clip(STAR), steps=60, lr=0.3)
    saver, _ = s("SaveImage", images=(number, 0), record=(number, 5), filename_prefix="help/edit")
    (image,) = stage.client.images(stage.run(s), saver)
    record = json.loads(image.text["tokenopt"])
    kept = f"tokenopt:\n{', '.join(list(record)[:7])}, …"
    codes = f"tokenopt_codes:\n{image.text['tokenopt_codes']}"
    return draw([[Tile(image, "a saved PNG"), Tile(kept, "carries"), Tile(codes, "and")]])


def hole() -> tuple[Sketch, Source, Source, Source]:
    """A scene, a mask over its object, and a loss that asks for another object there."""
    s = Sketch()
    scene = s.scene(position="middle", background="sand")
    mask = s.mask((64, 64), (8, 4, 48, 56))
    prompt = "a large green circle in the middle, plain sand background, bright, sharp"
    return s, scene, mask, s.clip(prompt)


RECIPES = {
    "LoadTokenizer": load_tokenizer,
    "LoadGuide": load_guide,
    "ClipLoss": clip_loss,
    "ImagePromptLoss": image_prompt_loss,
    "MaskedL1Loss": masked_l1_loss,
    "MaskedComposite": masked_composite,
    "PixelPenalty": pixel_penalty,
    "CombineLosses": combine_losses,
    "Optimize": optimizer,
    "OptimizeOptions": optimizer_options,
    "Sweep": sweep,
    "Judge": judge,
    "SaveImage": save_image,
}
