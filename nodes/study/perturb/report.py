"""Reports of Token Perturb Search: the contact sheet, the table, and notes.

The sheet is the right part of figure 2 of arXiv 2506.08257: the original, each position's best
edit, and where it differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ....tokenopt_core.study.perturb import Found, SearchConfig
from ...host.images import from_pil, to_pil
from ...report.drawing import FAINT, PAPER
from ...report.sheet import Tile, draw_grid, heat
from ...report.words import markdown_table, number

COLUMNS = 8  # of positions side by side
MOST_ROWS = 8  # positions that show all their results, one row each
WIDEST, NARROWEST = 256, 128  # of an image; at most the second where there are many
MOST_PIXELS = 2**26  # of all pages: 800 MB as an IMAGE
SEAM = 4  # between an edit and its difference


def sheets(results: Sequence[Found]) -> Tensor:
    """One page for each image, (b, 3, h, w) in [0, 1]; of many images the first ones."""
    pages: list[Image.Image] = []
    size = (0, 0)  # of the largest: fewer results make a page lower
    for _, group in groupby(results, key=lambda result: result.image):
        page = _page(list(group))
        width, height = max(size[0], page.width), max(size[1], page.height)
        if pages and (len(pages) + 1) * width * height > MOST_PIXELS:
            break
        pages.append(page)
        size = (width, height)
    return from_pil(*(_padded(page, size) for page in pages))


def live_sheet(results: Sequence[Found]) -> Image.Image:
    """The best edit of each position so far of the image at work, small."""
    current = [result for result in results if result.image == results[-1].image]
    tiles = [Tile(to_pil(r.images[0]), f"position {r.position}") for r in current]
    return draw_grid([tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)], width=96)


def table(results: Sequence[Found]) -> str:
    """One line per result: position, rank, codes, loss (Markdown)."""
    several = results[-1].image > 0
    head = ["position", "rank", "old code", "new code", "loss", "before"]
    rows = [["image"] * several + head]
    for result in results:
        pairs = zip(result.codes.tolist(), result.losses.tolist(), strict=True)
        for rank, (code, loss) in enumerate(pairs, 1):
            cells = [result.position, rank, result.old_code, code]
            cells += [number(loss), number(result.before)]
            rows.append([str(result.image)] * several + list(map(str, cells)))
    return markdown_table(rows, right=True)


def codes_text(codes: Tensor) -> str:
    """The codes of every result as TiTok Quantize writes them."""
    return "\n".join(" ".join(map(str, row)) for row in codes.tolist())


def notes(
    results: Sequence[Found], config: SearchConfig, codebook: int, connected: bool, pages: int
) -> list[str]:
    """Sentences for the user: what was compared, and what may surprise."""
    others = codebook - 1
    compared = results[0].compared
    lines = [
        f"compared all {others} other codes of each position"
        if compared == others
        else f"compared {compared} of {others} other codes of each position ({config.method}): the "
        "very best may be missing; exact compares all"
    ]
    if config.top_k > others:
        lines.append(f"top_k is {config.top_k}, but there are only {others} other codes")
    images = results[-1].image + 1
    if pages < images:
        lines.append(f"the sheet has room for the first {pages} of {images} images")
    if connected and config.maximize:
        lines.append(
            "the connected loss is maximized: away from what it asks for; minimize looks for it"
        )
    return lines


def _page(results: Sequence[Found]) -> Image.Image:
    """The original and the results of one image, with their differences on one scale."""
    original = results[0].original
    many = len(results) > MOST_ROWS or len(results[0].codes) == 1
    ranks = 1 if many else len(results[0].codes)
    shown = [(result, k) for result in results for k in range(min(ranks, len(result.codes)))]
    changes = [(result.images[k] - original).abs().mean(0) for result, k in shown]
    top = max(change.max().item() for change in changes) or 1.0
    width = WIDEST if len(shown) <= COLUMNS else NARROWEST
    tiles = [
        Tile(
            _pair(to_pil(result.images[k]), to_pil(_colours(change / top)), width),
            f"position {result.position}" + (f", rank {k + 1}" if ranks > 1 else ""),
            f"{result.old_code} > {int(result.codes[k])}: {number(result.losses[k].item())}",
        )
        for (result, k), change in zip(shown, changes, strict=True)
    ]
    columns = COLUMNS if many else min(COLUMNS, ranks)
    pair = _pair(to_pil(original), _scale(width, top), width)
    first = Tile(pair, "original", "code > new: loss")
    blank = Tile(Image.new("RGB", pair.size, PAPER))
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    rows = [[first if i == 0 else blank, *row] for i, row in enumerate(rows)]
    return draw_grid(rows, width=width)


def _pair(upper: Image.Image, lower: Image.Image, width: int) -> Image.Image:
    """Two square images, one below the other."""
    pair = Image.new("RGB", (width, 2 * width + SEAM), PAPER)
    for top, image in ((0, upper), (width + SEAM, lower)):
        pair.paste(image.resize((width, width), Image.Resampling.BICUBIC), (0, top))
    return pair


def _scale(width: int, top: float) -> Image.Image:
    """The colours of the differences, from 0 to `top`."""
    image = Image.new("RGB", (width, width), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(max(11, width // 14))
    ramp = _colours(torch.linspace(0, 1, width - 24).repeat(14, 1))
    height = width // 2
    draw.text((12, height - 10), "difference", FAINT, font, anchor="ls")
    image.paste(to_pil(ramp), (12, height))
    draw.text((12, height + 20), "0", FAINT, font, anchor="lt")
    draw.text((width - 12, height + 20), f"{top:.2f}", FAINT, font, anchor="rt")
    return image


def _colours(change: Tensor) -> Tensor:
    """Colours (3, h, w) of changes (h, w) from 0 to 1; by their root, so that small ones show."""
    return heat(change.sqrt()[None])[0]


def _padded(page: Image.Image, size: tuple[int, int]) -> Image.Image:
    whole = Image.new("RGB", size, PAPER)
    whole.paste(page, (0, 0))
    return whole
