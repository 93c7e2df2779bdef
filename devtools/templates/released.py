"""The templates for released weights (`l32_...`): what they download, what their notes say.

What every other template can do, run at once and offline, these cannot: they need 3.2 GB that no
test fetches. So tests of "every template" open them and compare them, but do not run them
(`is_released`); tests/server/test_downloads.py runs each of them, untouched, in a real server from
a hub on the same computer, which serves `small` models under the released names. A thumbnail made
by those would be a lie: it is a card that says what is needed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import Image, ImageDraw, ImageFont

PREFIX = "l32_"
TOKENIZER, GUIDE = "titok-l32", "ViT-B-32/laion2b_s34b_b79k"
HUB = "https://huggingface.co"
CARD, MARGIN = 384, 20  # pixels: a thumbnail's side, and its rim
INK, FAINT, PAPER = (236, 238, 242), (150, 156, 168), (37, 39, 43)
BOX, ACCENT = (84, 90, 102), (74, 144, 226)  # the nodes that download stand out


def is_released(template: str) -> bool:
    """Whether a template needs weights that do not come with the pack."""
    return template.startswith(PREFIX)


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

_NEEDS = """

**The first Run downloads 3.2 GB**, with a bar in the two loading nodes:

- [TiTok L-32](https://huggingface.co/yucornetto/tokenizer_titok_l32_imagenet), 2.6 GB, to \
`models/titok/titok-l32/`
- [CLIP ViT-B/32](https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K), 0.6 GB, to \
`models/titok_guides/ViT-B-32/laion2b_s34b_b79k/`

Cancel at any time: the next Run goes on from there. *download* off in the two nodes forbids it, \
and their message then says which files to put there by hand. Close an older front end's message \
about missing models: Run fetches them.

**Licences**: TiTok's page names Apache-2.0; it was trained on ImageNet, whose pictures are for \
research and education. CLIP's terms are on its page. Read both before you sell anything.

**Time**: {steps} steps take about {fast} minutes on two cores of a server CPU with matrix units \
for 16 bits, {slow} in 32 bits (measured for single steps of this size, random weights). No \
graphics card was measured; the paper names 7 seconds for 300 steps on an A100."""

NOTES = {
    "l32_text_edit": """## Edit a photo by text

Choose your picture in **Load Image**, write into *prompt* what it should show, like the paper \
as *a photo of a ...*. Then **Run**: **Token Optimizer** shows the picture while it changes.

Settings are the paper's: 300 steps of 0.1, 8 crops, an average of 0.98. Not strong enough: more \
steps. Too much changed: fewer, or Options with *locked* tokens."""
    + _NEEDS.format(steps=300, fast=5, slow=20),
    "l32_generate_from_noise": """## A photo out of nothing but a text

32 random tokens, and a *prompt*. Another *seed* in **Random Tokens** gives another picture.

400 steps, 8 crops, noise on the tokens, a weak pull towards zero and an average of 0.98, as in \
the paper. It does not tell how strong its noise and pull were: 0.1 and 0.02 are ours."""
    + _NEEDS.format(steps=400, fast=7, slow=26),
    "l32_inpaint": """## Replace one part of a photo

1. Choose your picture in **Load Image**. Right-click it, *Open in MaskEditor*, paint what may \
change, *Save*.
2. Write into *prompt* what the part and its surroundings should show. **Run**.

**Fit Image** takes the surroundings of the painted part, **Paste Back** returns them into the \
picture: all else stays as it is. *margin* says how much of the surroundings the models see.

As in the paper: known pixels held by an L1 loss with a soft mask and put back every 15 steps, \
noise, a weak pull to the start, an average of 0.98. The strengths are not in its text: these are \
ours, or those of a notebook's copy."""
    + _NEEDS.format(steps=350, fast=6, slow=23),
}


def with_models(saved: dict[str, Any]) -> dict[str, Any]:
    """A saved template with links to its models: in its nodes, and once for the whole."""
    for node in saved["nodes"]:
        if node["type"] in MODELS:
            node["properties"]["models"] = [MODELS[node["type"]]]
    return saved | {"models": list(MODELS.values())}


def card(saved: dict[str, Any], title: str) -> Image.Image:
    """A thumbnail: the graph in outline, and what it needs."""
    sheet = Image.new("RGB", (CARD, CARD), PAPER)
    pen = ImageDraw.Draw(sheet)
    _draw_graph(pen, saved)
    size = 30
    while pen.textlength(title, ImageFont.load_default(size)) > CARD - 2 * MARGIN:
        size -= 1
    needs = "needs 3.2 GB, which the first run downloads"
    pen.text((MARGIN, 258), title, INK, ImageFont.load_default(size))
    pen.text((MARGIN, 308), "TiTok L-32, photos of 256 x 256", INK, ImageFont.load_default(19))
    pen.text((MARGIN, 342), needs, FAINT, ImageFont.load_default(16))
    return sheet


def _draw_graph(pen: ImageDraw.ImageDraw, saved: dict[str, Any]) -> None:
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
        pen.line([place(x, y), place(b["pos"][0], b["pos"][1] + 30)], FAINT, 2)
    for each in nodes.values():
        (x, y), (width, height) = each["pos"], each["size"]
        colour = ACCENT if each["type"] in MODELS else BOX
        pen.rounded_rectangle([place(x, y), place(x + width, y + height)], 4, colour)


def small(spec: Any) -> Any:
    """A tokenizer's spec with the same layout and picture size, and a small network."""
    size = type(spec.encoder)(width=64, layers=1, heads=1)
    pixels = replace(spec.pixel_stage, hidden_channels=32, z_channels=32, num_embeddings=64)
    return replace(spec, codebook_size=64, encoder=size, decoder=size, pixel_stage=pixels)
