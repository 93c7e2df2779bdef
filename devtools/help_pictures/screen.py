"""Recipes of nodes that are shown as screenshots of the front end."""

from __future__ import annotations

import io

from PIL import Image

from ..comfyui.frontend import FrontEnd
from ..templates.make import LAYOUT, SIZES, VERSIONS, columns_of, sources_of
from .sheet import whole
from .stage import HEART, Sketch, Stage

GAPS = [40, 50]
ROOM = 24  # around the nodes, in pixels
# At its full size, so that its letters are sharp.
SHOW = """([kinds, room]) => {
    const nodes = app.graph._nodes.filter((node) => kinds.includes(node.type));
    const boxes = nodes.map((node) => node.getBounding());
    const left = Math.min(...boxes.map((box) => box[0])), top = Math.min(...boxes.map((b) => b[1]));
    const right = Math.max(...boxes.map((box) => box[0] + box[2]));
    const bottom = Math.max(...boxes.map((box) => box[1] + box[3]));
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [room + 80 - left, room + 80 - top];
    app.canvas.setDirty(true, true);
    const canvas = app.canvas.canvas.getBoundingClientRect();
    return {
        x: canvas.x + 80, y: canvas.y + 80,
        width: right - left + 2 * room, height: bottom - top + 2 * room,
    };
}"""


def inspector(stage: Stage) -> Image.Image:
    s = Sketch()
    tokens = s.encode(s.scene(**HEART))
    number, _ = s(
        "Inspect", tokenizer=s.tokenizer, tokens=tokens, edits="14: 500", positions="6, 14"
    )
    s(".PreviewImage", images=(number, 2))
    return shot(stage, s, "TokenOpt_Inspect", "PreviewImage")


def captioned(stage: Stage) -> Image.Image:
    """A text-aware tokenizer with its caption; both need downloads, so that nothing is run."""
    s = Sketch()
    s.graph[s.tokenizer[0]]["inputs"]["tokenizer"] = "tatitok-bl32-vq"
    model = {"model": "ViT-L-14-336/openai", "download": True, "activation": "as trained"}
    text = "a photo of a dog on the grass"
    caption = s("Caption", caption_encoder=s("LoadCaptionEncoder", **model), text=text)
    s("Decode", tokenizer=s.tokenizer, caption=caption)
    kinds = ("LoadTokenizer", "LoadCaptionEncoder", "Caption", "Decode")
    return shot(stage, s, *(f"TokenOpt_{kind}" for kind in kinds), run=False)


def shot(stage: Stage, sketch: Sketch, *kinds: str, run: bool = True) -> Image.Image:
    """The nodes of these types in the real front end, after a run or without one."""
    with FrontEnd(stage.server.url) as frontend:
        frontend.load_api(sketch.graph, "help")
        sources = sources_of(sketch.graph)
        drawn = [columns_of(sources), sources, SIZES, [None, None], VERSIONS, GAPS, {}, {}]
        frontend.page.evaluate(LAYOUT, drawn)
        if run:
            frontend.queue()
            frontend.wait_until_idle()
        box = frontend.page.evaluate(SHOW, [list(kinds), ROOM])
        frontend.page.wait_for_timeout(1500)
        picture = Image.open(io.BytesIO(frontend.page.screenshot(clip=box)))
    return whole(picture)


RECIPES = {"Inspect": inspector, "LoadCaptionEncoder": captioned, "Caption": captioned}
