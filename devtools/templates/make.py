"""Templates, `python dev.py templates`: workflows/NN_NAME.json and .jpg from api/NAME.json.

The front end itself builds, lays out and saves the nodes, so that each template is what a user
would have saved; the server runs the workflow once for the thumbnail.
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

from PIL import Image, ImageOps, ImageSequence

from ..comfyui.client import Client, Graph
from ..comfyui.frontend import FrontEnd
from ..comfyui.layout import DEV
from ..comfyui.server import ComfyServer
from ..comfyui.template_files import READY, TEMPLATES, api_graph, file_name, template_file
from .released import card, is_released, needs, read_note, with_models

THUMBNAIL, INSET = 384, 120
PAPER = (37, 39, 43)  # of the sweep's grid
# Part of a large image that a thumbnail shows: left, top, right, bottom.
PARTS = {
    "sweep": (446, 20, 1006, 640),
    "token_importance": (76, 40, 482, 446),
    "perturb_search": (12, 20, 452, 344),
}
COLUMN_GAP, ROW_GAP = 60, 110  # the title bar (30) lies above; new rendering makes nodes taller

# Depth in the graph is the column; a node is beside the middle of its sources where possible.
LAYOUT = (Path(__file__).parent / "layout.js").read_text(encoding="utf-8")
SIZES = {
    "TokenOpt_DemoScene": [280, 0],
    "TokenOpt_EasyTextEdit": [400, 760],  # with room for the live preview
    "TokenOpt_EasyInpaint": [400, 640],
    "TokenOpt_ClipLoss": [400, 500],
    "TokenOpt_Optimize": [360, 780],  # with room for the live preview
    "TokenOpt_Quantize": [280, 0],
    "TokenOpt_Inspect": [420, 260],  # with room for its strip
    "TokenOpt_Sweep": [460, 1000],  # with room for the live grid and the table
    "TokenOpt_Judge": [460, 320],
    "TokenOpt_TokensToText": [400, 150],  # with room for the text
    "TokenOpt_TextToTokens": [400, 150],
    "TokenOpt_SaveImage": [300, 330],
    "TokenOpt_Importance": [560, 900],  # with room for its table
    "SaveAnimatedWEBP": [300, 380],
    "SaveImage": [260, 300],
    "LoadImage": [300, 380],
    "Reroute": [180, 0],
    "PreviewImage": [260, 300],
}
# Where one link is drawn anew for all its users; its number must be free in the graph.
REROUTES = {"inpaint": {"20": ["3", 0], "21": ["7", 0]}, "any_size": {"20": ["5", 0]}}
BELOW = {"inpaint": {"17": "7"}, "easy_inpaint": {"6": "4"}}  # a node, and the one above it
GROUPS = {
    "inpaint": {
        "Your own picture and mask": ["17"],
        "Picture and mask": ["20", "21"],
    }
}
SCREENSHOTS = DEV / "screenshots"
NOTE, LARGE_NOTE = [340, 460], [420, 560]
VERSIONS = ["0.1.0", "0.3.75"]


def main(names: list[str]) -> int:
    log = DEV / "logs" / "templates.log"
    with ComfyServer(DEV / "templates-base", log=log) as server, FrontEnd(server.url) as frontend:
        for name in names or TEMPLATES:
            graph = api_graph(name)
            _save_template(frontend, graph | READY.get(name, {}), name)
            if is_released(name):
                _save_card(name)
            else:
                _save_thumbnail(server.client(), graph, name)
            print(f"workflows/{file_name(name)}.json and .jpg", flush=True)
    return 0


def note_of(name: str) -> str:
    """What the note beside the nodes of a template says (Markdown)."""
    return f"{read_note(name)}\n\n{needs(name)}" if is_released(name) else read_note(name)


def sources_of(graph: Graph) -> dict[str, list[str]]:
    """For each node number, the numbers of the nodes that feed it."""
    return {
        number: [value[0] for value in node["inputs"].values() if isinstance(value, list)]
        for number, node in graph.items()
    }


def rerouted(sources: dict[str, list[str]], reroutes: dict[str, str]) -> dict[str, list[str]]:
    """The same with reroutes (number: source) between a source and its users, in one column."""
    via = {source: number for number, source in reroutes.items()}
    users = {number: [via.get(n, n) for n in feeding] for number, feeding in sources.items()}
    return users | {number: list(via) for number in reroutes}


def columns_of(sources: dict[str, list[str]]) -> list[list[str]]:
    """Node numbers by depth: each node one column right of its deepest source."""
    depth: dict[str, int] = {}

    def find(number: str) -> int:
        if number not in depth:
            depth[number] = 1 + max(map(find, sources[number]), default=-1)
        return depth[number]

    deepest = max(map(find, sources))
    return [[n for n in sources if depth[n] == column] for column in range(deepest + 1)]


def _save_template(frontend: FrontEnd, graph: Graph, name: str) -> None:
    frontend.load_api(graph, name)
    reroutes, groups = REROUTES.get(name, {}), GROUPS.get(name, {})
    sources = rerouted(sources_of(graph), {n: source for n, (source, _) in reroutes.items()})
    for number, above in BELOW.get(name, {}).items():
        sources[number] = sources[above]
    note = [note_of(name), LARGE_NOTE if is_released(name) else NOTE]
    drawn = [columns_of(sources), sources, SIZES, note, VERSIONS]
    frontend.page.evaluate(LAYOUT, [*drawn, [COLUMN_GAP, ROW_GAP], reroutes, groups])
    frontend.fit_view()
    frontend.screenshot(SCREENSHOTS / f"template-{name}.png")
    saved = frontend.workflow()
    for node in saved["nodes"]:
        if node["type"] == "LoadImage":  # "" is the first file that its user has, not one of ours
            node["widgets_values"][0] = graph[str(node["id"])]["inputs"]["image"]
    if is_released(name):
        saved = with_models(saved)
    saved["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"tokenopt/{name}"))  # the same each time
    text = json.dumps(saved, indent=2, ensure_ascii=False) + "\n"
    template_file(name).write_text(text, encoding="utf-8")


def _save_thumbnail(client: Client, graph: Graph, name: str) -> None:
    run = client.run(graph)
    if run.error:
        sys.exit(
            f"dev.py: {name} failed in {run.error['node_type']}: {run.error['exception_message']}"
        )
    images = _frames(client.images(run, thumbnail_node(graph)))
    if name in PARTS:
        images = [images[0].crop(PARTS[name])]
    sheet, before = montage(images), _nodes_saving(graph, "before")
    if len(images) == 1 and before:
        _inset(sheet, client.images(run, before[0])[0])
    sheet.save(template_file(name, ".jpg"), quality=90)


def _inset(sheet: Image.Image, before: Image.Image) -> None:
    """Draws the image before the edit, small, into the lower left corner."""
    small = ImageOps.contain(before.convert("RGB"), (INSET, INSET), Image.Resampling.BICUBIC)
    framed = ImageOps.expand(small, border=4, fill=PAPER)
    sheet.paste(framed, (0, THUMBNAIL - framed.height))


def _frames(images: list[Image.Image]) -> list[Image.Image]:
    """The images, or four moments of an animation from its first to its last."""
    count = getattr(images[0], "n_frames", 1)
    if count == 1:
        return images
    frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(images[0])]
    # Squares: most happens at the beginning.
    return [frames[round((moment / 3) ** 2 * (count - 1))] for moment in range(4)]


def _save_card(name: str) -> None:
    title = read_note(name).splitlines()[0].lstrip("# ")
    saved = json.loads(template_file(name).read_text(encoding="utf-8"))
    card(saved, title).save(template_file(name, ".jpg"), quality=90)


def thumbnail_node(graph: Graph) -> str:
    """The node that saves what the template is about: the steps of a run, a grid, a whole image,
    otherwise the result."""
    words = ("trajectory", "grid", "whole", "after")
    return next(node for word in words for node in _nodes_saving(graph, word))


def _nodes_saving(graph: Graph, word: str) -> list[str]:
    prefixes = {number: node["inputs"].get("filename_prefix", "") for number, node in graph.items()}
    return [number for number, prefix in prefixes.items() if word in prefix]


def montage(images: list[Image.Image]) -> Image.Image:
    """One image, or four, in a square."""
    count = 2 if len(images) >= 4 else 1
    size = THUMBNAIL // count
    sheet = Image.new("RGB", (THUMBNAIL, THUMBNAIL), PAPER)
    for place, image in enumerate(images[: count**2]):
        fitted = ImageOps.contain(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
        left, top = size * (place % count), size * (place // count)
        room = (size - fitted.width) // 2, (size - fitted.height) // 2  # a grid may not be square
        sheet.paste(fitted, (left + room[0], top + room[1]))
    return sheet


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
