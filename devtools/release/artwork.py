"""The registry's icon and banner, made of an edit by the demo models.

`python -m devtools.release.artwork` writes docs/registry/icon.png and banner.png. An image is above
the codes that it is decoded from, one cell for each, in the colours of the Token Inspector.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tokenopt_core import ClipLoss, OptimizeConfig, load_guide, load_tokenizer, optimize, render
from tokenopt_core.demo import render as draw_scene
from tokenopt_core.demo.world import Attributes

from ..comfyui.layout import ROOT

FOLDER = ROOT / "docs" / "registry"
ICON, BANNER = 400, (1260, 540)  # square, and 21 to 9; the registry takes up to 800 x 400 for icons
SCENE = {"shape": "circle", "colour": "red", "size": "large", "position": "middle"}
PLACE = {"background": "sky", "pattern": "plain", "light": "bright", "focus": "sharp"}
PROMPT = "a large green star in the middle, plain sky background, bright, sharp"
STEPS, SEED = 150, 5
SHOWN = (4, 9, 16)  # steps that the banner has between the start and the end
PAPER, INK = (37, 39, 43), (235, 235, 235)
ACROSS = 8  # cells in a row
# As in web/js/inspector_colours.js.
HUES = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)]
HUES += [(0, 114, 178), (213, 94, 0), (204, 121, 167)]
SHADES, DARKEST, LIGHTEST = 12, -0.5, 0.6


@dataclass(frozen=True)
class Stage:
    """A moment of the edit: the image, and its codes (n,)."""

    image: Image.Image
    codes: list[int]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    stages = edit()
    icon(stages[-1]).save(FOLDER / "icon.png", optimize=True)
    banner(stages).save(FOLDER / "banner.png", optimize=True)


def edit() -> list[Stage]:
    """The start, some steps, and the result of the edit from a red circle to a green star."""
    tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
    scene = draw_scene(Attributes.from_names([{**SCENE, **PLACE}]), seed=7)
    features = tokenizer.encode(scene)
    loss = ClipLoss(guide, PROMPT, crops=4)
    config = OptimizeConfig(steps=STEPS, lr=0.2, ema_decay=0.95, token_noise=0.3)
    shown = [features]
    for step in optimize(tokenizer, loss, features, config, seeds=SEED):
        if step.index + 1 in (*SHOWN, STEPS):
            shown.append(step.result)
    return [_stage(*render(tokenizer, each)) for each in shown]


def icon(stage: Stage) -> Image.Image:
    """The image over two rows of cells, all edge to edge."""
    cell = ICON // ACROSS
    sheet = Image.new("RGB", (ICON, ICON), PAPER)
    high = ICON - cell * len(stage.codes) // ACROSS
    large = stage.image.resize((ICON, ICON), Image.Resampling.LANCZOS)
    top = (ICON - high) // 2
    sheet.paste(large.crop((0, top, ICON, top + high)))
    _cells(sheet, stage.codes, (0, high), cell, gap=4)
    return sheet


def banner(stages: list[Stage]) -> Image.Image:
    """All stages side by side, and the prompt that moved them."""
    wide, high = BANNER
    cell = 27
    size = cell * ACROSS
    margin = (wide - size * len(stages)) // (len(stages) + 1)
    sheet = Image.new("RGB", BANNER, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, 34), "TokenOpt", INK, ImageFont.load_default(52))
    line = "move a few tokens, change the picture"
    draw.text((wide - margin, 58), line, INK, ImageFont.load_default(28), anchor="rt")
    for column, stage in enumerate(stages):
        left = margin + column * (size + margin)
        large = stage.image.resize((size, size), Image.Resampling.LANCZOS)
        sheet.paste(large, (left, 140))
        _cells(sheet, stage.codes, (left, 140 + size + 12), cell, gap=3)
    prompt = f"\N{LEFT DOUBLE QUOTATION MARK}{PROMPT}\N{RIGHT DOUBLE QUOTATION MARK}"
    font = ImageFont.load_default(26)
    draw.text((wide // 2, high - 54), prompt, INK, font, anchor="mm")
    return sheet


def _stage(images: Tensor, tokens) -> Stage:
    pixels = (images[0].movedim(0, 2) * 255).round().byte().numpy()
    return Stage(Image.fromarray(pixels), tokens.codes[0].tolist())


def _cells(
    sheet: Image.Image, codes: list[int], corner: tuple[int, int], cell: int, gap: int
) -> None:
    draw = ImageDraw.Draw(sheet)
    for index, code in enumerate(codes):
        left = corner[0] + index % ACROSS * cell + gap // 2
        top = corner[1] + index // ACROSS * cell + gap // 2
        side = cell - gap - 1
        draw.rounded_rectangle((left, top, left + side, top + side), cell // 6, colour_of(code))


def colour_of(code: int) -> tuple[int, int, int]:
    """The Token Inspector's colour of a code."""
    spread = ((code + 1) * 0x9E3779B1) & 0xFFFFFFFF
    spread = ((spread ^ (spread >> 15)) * 0x85EBCA6B) & 0xFFFFFFFF
    spread ^= spread >> 13
    hue, shade = HUES[spread % len(HUES)], spread // len(HUES) % SHADES / (SHADES - 1)
    shade = DARKEST + shade * (LIGHTEST - DARKEST)
    target = 255 if shade > 0 else 0
    return tuple(round(part + (target - part) * abs(shade)) for part in hue)


if __name__ == "__main__":
    main()
