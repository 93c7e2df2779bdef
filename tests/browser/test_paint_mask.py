"""The template `inpaint` with a user's own image and a mask painted in ComfyUI's mask editor."""

from __future__ import annotations

import numpy as np
from PIL import Image

from devtools.comfyui.checks import node, pixels, succeed
from devtools.comfyui.layout import DEV

SCREENSHOTS = DEV / "screenshots"
WIDTH, HEIGHT = 360, 240  # no square, and larger than what the tokenizer makes
SHOW = """([left, top]) => {
    const node = app.graph._nodes.find((node) => node.type === 'LoadImage');
    app.graph._nodes.find((node) => node.type === 'TokenOpt_Optimize').widgets
        .find((widget) => widget.name === 'steps').value = 10;
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [left - node.pos[0], top - node.pos[1]];
    app.canvas.setDirty(true, true);
}"""
UPLOAD_BUTTON = """() => {
    const node = app.graph._nodes.find((node) => node.type === 'LoadImage');
    const button = node.widgets.find((widget) => widget.type === 'button');
    const [x, y] = app.canvas.ds.offset;
    return [node.pos[0] + node.size[0] / 2 + x, node.pos[1] + button.last_y + 10 + y];
}"""
ENDS = """(kind) => {  // of a link from Load Image to the reroute of this type
    const graph = app.graph, [x, y] = app.canvas.ds.offset;
    const from = graph._nodes.find((node) => node.type === 'LoadImage');
    const to = graph._nodes.find((n) => n.type === 'Reroute' && n.outputs[0].type === kind);
    const slot = from.outputs.findIndex((output) => output.type === kind);
    return [from.getConnectionPos(false, slot), to.getConnectionPos(true, 0)]
        .map((end) => [end[0] + x, end[1] + y]);
}"""


def test_only_what_is_painted_in_the_mask_editor_changes(frontend, client, tmp_path):
    frontend.load_template("inpaint")
    frontend.page.evaluate(SHOW, [500, 450])
    frontend.page.wait_for_timeout(200)  # the button has its place once it is drawn
    before = _choose_picture(frontend, tmp_path / "own picture.png")
    _paint(frontend)
    for kind in ("IMAGE", "MASK"):
        (x, y), end = frontend.page.evaluate(ENDS, kind)
        _drag(frontend.page.mouse, (x, y), end)
    frontend.screenshot(SCREENSHOTS / "paint-connected.png")
    posted = frontend.prompt()
    assert posted["13"]["inputs"]["mask"] == posted["10"]["inputs"]["mask"] == ["17", 1]
    frontend.queue()
    frontend.wait_until_idle()

    entry = list(client.get("/history").json().values())[-1]
    assert entry["status"]["status_str"] == "success"
    shown, after = (_pixels(client, entry["outputs"][number]) for number in ("14", "15"))
    painted = _painted(client, posted["17"]["inputs"]["image"])
    np.testing.assert_array_equal(shown, before)
    np.testing.assert_array_equal(after[~painted], before[~painted])
    changed = (after != before).any(2)
    assert changed[painted].mean() > 0.9
    assert _misfit(client, posted, before) < 2, "the model sees only a part of the picture"
    rows, columns = np.nonzero(painted)
    assert abs(columns.mean() / WIDTH - 0.7) < 0.05, "the stroke is not where the mouse was"
    assert abs(rows.mean() / HEIGHT - 0.3) < 0.05, "the stroke is not where the mouse was"
    assert frontend.errors == []
    assert frontend.alerts() == []


def _choose_picture(frontend, path) -> np.ndarray:
    """The pixels (h, w, 3) of a picture that is given to Load Image by its own button."""
    across, down = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
    picture = np.stack([across, down, 255 - across], 2).astype(np.uint8)
    Image.fromarray(picture).save(path)
    with frontend.page.expect_file_chooser() as chooser:
        frontend.page.mouse.click(*frontend.page.evaluate(UPLOAD_BUTTON))
    with frontend.page.expect_response(lambda got: "/upload/image" in got.url):
        chooser.value.set_files(path)
    frontend.page.wait_for_timeout(500)  # it is shown in the node
    return picture


def _paint(frontend) -> None:
    """A stroke across 60 to 80 % of the width, at 30 % of the height."""
    page, box = frontend.page, frontend.node_box("LoadImage")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 15, button="right")
    page.get_by_role("menuitem", name="Open in MaskEditor").click()
    editor = page.locator(".mask-editor-dialog")
    canvas = editor.locator("canvas").first
    canvas.wait_for()
    page.wait_for_timeout(500)  # it comes in gently
    place = canvas.bounding_box()
    x, y = (place["x"] + part * place["width"] for part in (0.6, 0.8))
    down = place["y"] + 0.3 * place["height"]
    _drag(page.mouse, (x, down), (y, down))
    frontend.screenshot(SCREENSHOTS / "paint-editor.png")
    editor.get_by_text("Save").click()
    editor.wait_for(state="detached")
    page.wait_for_timeout(500)


def _drag(mouse, start, end) -> None:
    mouse.move(*start)
    mouse.down()
    mouse.move(*end, steps=10)
    mouse.up()


def _pixels(client, output: dict) -> np.ndarray:
    return np.asarray(client.view(output["images"][0]).convert("RGB"))


def _misfit(client, posted: dict, before: np.ndarray) -> float:
    """Mean difference (0 to 255) of what is encoded, put back into the picture, from it."""
    put_back = {"destination": ["17", 0], "source": posted["8"]["inputs"]["image"]}
    whole = node("ImageCompositeMasked", **put_back, x=0, y=0, resize_source=True)
    shown = node("PreviewImage", images=["31", 0])
    run = succeed(client, {**posted, "31": whole, "32": shown})
    return float(abs(pixels(client, run, "32").astype(int)[0] - before).mean())


def _painted(client, name: str) -> np.ndarray:
    """Where (h, w) the file that the mask editor saved is painted at all."""
    path = name.removesuffix(" [input]")
    folder, _, file = path.rpartition("/")
    saved = client.view({"filename": file, "subfolder": folder, "type": "input"})
    return np.asarray(saved.getchannel("A")) < 255
