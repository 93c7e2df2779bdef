"""Templates for released weights (`l32_...`): their downloads, notes and thumbnails.

What every other template can do, run at once and offline, these cannot: they need 3.2 GB that no
test fetches. So tests of "every template" open them and compare them, but do not run them
(`is_released`); tests/server/test_downloads.py runs each of them, untouched, in a real server from
a hub on the same computer, which serves `small` models under the released names. A thumbnail made
by those would be a lie: it is a card that says what is needed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

NOTES = Path(__file__).parent / "notes"  # one file for each template
PREFIX = "l32_"
TOKENIZER, GUIDE = "titok-l32", "ViT-B-32/laion2b_s34b_b79k"
TEXT_AWARE = "tatitok-bl32-vq"  # of no template; small as well
HUB = "https://huggingface.co"
CARD, MARGIN = 384, 20  # pixels: a thumbnail's side, and its rim
INK, FAINT, PAPER = (236, 238, 242), (150, 156, 168), (37, 39, 43)
BOX, ACCENT = (84, 90, 102), (74, 144, 226)  # the nodes that download stand out


# As core templates name them, for older front ends' message about missing models (newer ones look
# for values that end like a file's name): `name` is the path below the folder of that kind.
MODELS = {
    "TokenOpt_LoadTokenizer": {
        "name": f"{TOKENIZER}/model.safetensors",
        "url": f"{HUB}/yucornetto/tokenizer_titok_l32_imagenet/resolve/main/model.safetensors",
        "directory": "titok",
    },
    "TokenOpt_LoadGuide": {
        "name": f"{GUIDE}/open_clip_model.safetensors",
        "url": f"{HUB}/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/main/"
        "open_clip_model.safetensors",
        "directory": "titok_guides",
    },
}

# What a note tells about the time of a run: steps, minutes in 16 bits, minutes in 32 bits.
TIMES = {
    "l32_text_edit": {"steps": 300, "fast": 5, "slow": 20},
    "l32_generate_from_noise": {"steps": 400, "fast": 7, "slow": 26},
    "l32_inpaint": {"steps": 350, "fast": 6, "slow": 23},
}


def is_released(template: str) -> bool:
    """Whether a template needs weights that do not come with the pack."""
    return template.startswith(PREFIX)


def needs(template: str) -> str:
    """The end of a note (Markdown): downloads, licences and time."""
    return read_note("needs").format(**TIMES[template])


def read_note(name: str) -> str:
    """A file of the folder `notes`."""
    return (NOTES / f"{name}.md").read_text(encoding="utf-8").rstrip("\n")


def with_models(saved: dict[str, Any]) -> dict[str, Any]:
    """A saved template with links to its models: in its nodes, and once for the whole."""
    for node in saved["nodes"]:
        if node["type"] in MODELS:
            node["properties"]["models"] = [MODELS[node["type"]]]
    return saved | {"models": list(MODELS.values())}


def card(saved: dict[str, Any], title: str) -> Image.Image:
    """A thumbnail: the graph in outline, and what it needs."""
    sheet = Image.new("RGB", (CARD, CARD), PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_graph(draw, saved)
    size = 30
    while draw.textlength(title, ImageFont.load_default(size)) > CARD - 2 * MARGIN:
        size -= 1
    needs = "needs 3.2 GB, which the first run downloads"
    draw.text((MARGIN, 258), title, INK, ImageFont.load_default(size))
    draw.text((MARGIN, 308), "TiTok L-32, photos of 256 x 256", INK, ImageFont.load_default(19))
    draw.text((MARGIN, 342), needs, FAINT, ImageFont.load_default(16))
    return sheet


def _draw_graph(draw: ImageDraw.ImageDraw, saved: dict[str, Any]) -> None:
    nodes = {n["id"]: n for n in saved["nodes"] if n["type"] != "MarkdownNote"}
    left, top = (min(n["pos"][k] for n in nodes.values()) for k in (0, 1))
    right, bottom = (max(n["pos"][k] + n["size"][k] for n in nodes.values()) for k in (0, 1))
    room = (CARD - 2 * MARGIN, 240 - 2 * MARGIN)
    scale = min(room[0] / (right - left), room[1] / (bottom - top))
    gap = (room[1] - (bottom - top) * scale) / 2

    def place(x: float, y: float) -> tuple[float, float]:
        return MARGIN + (x - left) * scale, MARGIN + gap + (y - top) * scale

    for _, start, _, end, _, _ in saved["links"]:
        a, b = nodes[start], nodes[end]
        x, y = a["pos"][0] + a["size"][0], a["pos"][1] + 30
        draw.line([place(x, y), place(b["pos"][0], b["pos"][1] + 30)], FAINT, 2)
    for each in nodes.values():
        (x, y), (width, height) = each["pos"], each["size"]
        colour = ACCENT if each["type"] in MODELS else BOX
        draw.rounded_rectangle([place(x, y), place(x + width, y + height)], 4, colour)


def small(spec: Any) -> Any:
    """A tokenizer's spec with the same layout and image size, and a small network."""
    size = type(spec.encoder)(width=64, layers=1, heads=1)
    changes = {"codebook_size": 64, "encoder": size, "decoder": size}
    if spec.pixel_stage:
        sizes = {"hidden_channels": 32, "z_channels": 32, "num_embeddings": 64}
        changes["pixel_stage"] = replace(spec.pixel_stage, **sizes)
    if spec.text_size:
        changes["text_size"] = 32
    return replace(spec, **changes)
