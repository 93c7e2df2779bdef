"""Templates in the real front end: opened by its own template loader, run, and looked at."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from devtools.comfyui.checks import node
from devtools.comfyui.frontend import FrontEnd
from devtools.comfyui.layout import DEV
from devtools.comfyui.template_files import (
    API_WORKFLOWS,
    READY,
    TEMPLATES,
    file_name,
    template_file,
)
from devtools.pages.locales import load
from devtools.templates.released import is_released

SCREENSHOTS = DEV / "screenshots"
WITH_DEMO = [name for name in TEMPLATES if not is_released(name)]
SHOWN = """() => {
    const node = app.graph._nodes.find((node) => node.type === "TokenOpt_Optimize");
    const named = (slot) => [slot.name, slot.localized_name];
    const { nodeData } = node.constructor;
    return {
        title: node.title,
        description: nodeData.description,
        tooltip: nodeData.inputs.lr.tooltip,
        widget: node.widgets.find((widget) => widget.name === "lr").label,
        inputs: Object.fromEntries(node.inputs.map(named)),
        outputs: node.outputs.map((slot) => slot.localized_name),
    };
}"""
COLOURS = """() => [
    app.canvas.constructor.link_type_colors.TOKENOPT_TOKENS,
    app.canvas.default_connection_color_byType.TOKENOPT_TOKENS,
    getComputedStyle(document.body).getPropertyValue("--color-datatype-TOKENOPT_TOKENS").trim(),
]"""

STEPS = """(steps) => {
    for (const widget of app.graph._nodes.flatMap((node) => node.widgets ?? []))
        if (widget.name === 'steps') widget.value = steps;
}"""
NAME = "%date:yyyy:MM%/%TokenOpt_DemoScene.shape%/a"


def test_every_workflow_has_a_template_and_a_thumbnail(client):
    assert {path.stem for path in API_WORKFLOWS.glob("*.json")} == set(TEMPLATES)
    shown = [file_name(name) for name in TEMPLATES]
    assert sorted(client.get("/api/workflow_templates").json()["tokenopt"]) == shown
    for name in shown:
        thumbnail = client.get(f"/api/workflow_templates/tokenopt/{name}.jpg")
        assert Image.open(io.BytesIO(thumbnail.content)).size == (384, 384)


def test_the_node_shows_the_image_while_it_changes(frontend, client):
    client.free()  # so that nothing is taken from the results of an earlier test
    frontend.link_to_template("text_edit")
    frontend.page.evaluate(STEPS, 40)
    frontend.fit_view()
    box = frontend.node_box("TokenOpt_Optimize")
    before = frontend.screenshot(SCREENSHOTS / "before-run.png", box)
    received = frontend.previews
    assert frontend.alerts() == []
    frontend.queue()
    frontend.wait_for_previews(received + 2)
    running = frontend.screenshot(SCREENSHOTS / "node-running.png", box)
    frontend.wait_until_idle()
    frontend.screenshot(SCREENSHOTS / "finished.png")
    assert _changed(before, running) > 0.05, "the preview is not to be seen in the node"
    assert frontend.errors == []
    assert frontend.alerts() == []


@pytest.mark.parametrize("name", WITH_DEMO)
def test_template_is_the_api_workflow(frontend, workflow, name):
    """Which test_server.py runs."""
    frontend.load_template(name)
    assert _plain(frontend.prompt()) == _plain(workflow(name) | READY.get(name, {}))
    assert frontend.errors == []
    assert frontend.alerts() == []


def test_a_date_and_a_widget_in_a_name_are_filled_in(frontend):
    names_are_filled_in(frontend)


def names_are_filled_in(frontend: FrontEnd) -> None:
    """The page does it for ComfyUI's own nodes; for ours too, and in a way that Windows takes."""
    saved = {"filename_prefix": NAME}
    both = {"tokens_with": ["5", 0], "tokens_without": ["5", 0]}
    graph = {
        "1": node("TokenOpt_DemoScene", shape="star", seed=1),
        "2": node("SaveImage", images=["1", 0], **saved),
        "3": node("TokenOpt_SaveImage", images=["1", 0], **saved),
        "4": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "5": node("TokenOpt_Encode", tokenizer=["4", 0], image=["1", 0]),
        "6": node("TokenOpt_SaveTokens", tokenizer=["4", 0], tokens=["5", 0], **saved),
        "7": node("TokenOpt_AttributeVector", tokenizer=["4", 0], **both),
        "8": node("TokenOpt_SaveAttribute", attribute=["7", 0], **saved),
    }
    frontend.load_api(graph, "names")
    posted = {number: n["inputs"].get("filename_prefix") for number, n in frontend.prompt().items()}
    assert re.fullmatch(r"\d{4}:\d\d/star/a", posted["2"])
    assert posted["3"] == posted["6"] == posted["8"] == posted["2"].replace(":", "_")
    saved_values = [
        n["widgets_values"] for n in frontend.workflow()["nodes"] if n["id"] in (3, 6, 8)
    ]
    assert saved_values == [[NAME]] * 3
    assert frontend.errors == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_is_tidy(name):
    saved = json.loads(template_file(name).read_text(encoding="utf-8"))
    ours = [found for found in saved["nodes"] if found["type"].startswith("TokenOpt_")]
    assert ours
    assert any(found["type"] == "MarkdownNote" for found in saved["nodes"])
    for found in ours:
        assert found["properties"]["cnr_id"] == "tokenopt"
        assert found["properties"]["Node name for S&R"] == found["type"]
        assert not {"randomize", "increment", "decrement"} & set(
            map(str, found.get("widgets_values", []))
        )
    boxes = [(*found["pos"], *found["size"]) for found in saved["nodes"]]
    for place, a in enumerate(boxes):
        for b in boxes[:place]:
            apart = a[0] >= b[0] + b[2] or b[0] >= a[0] + a[2]
            assert apart or a[1] >= b[1] + b[3] or b[1] >= a[1] + a[3], f"{a} overlaps {b}"


def test_the_help_panel_shows_the_node_s_picture(frontend):
    frontend.page.evaluate(
        """() => {
            app.graph.clear();
            const node = LiteGraph.createNode('TokenOpt_Copy');
            node.pos = [500, 300];
            app.graph.add(node);
            app.canvas.selectNode(node);
        }"""
    )
    frontend.page.locator("[data-testid=info-button]").click()
    picture = frontend.page.locator("img[src$='/docs/images/TokenOpt_Copy.webp']")
    picture.wait_for()
    assert picture.evaluate("(shown) => shown.decode().then(() => shown.naturalWidth)") == 640
    frontend.screenshot(SCREENSHOTS / "help-panel.png")
    # The panel asks for a page in the user's language first.
    asked = [url for url in frontend.errors if url.endswith("/docs/TokenOpt_Copy/en.md")]
    assert frontend.errors == asked
    frontend.errors.clear()


def _plain(graph):
    """What would run; a Load Image that is not connected shows the first file of its user."""
    nodes = {n: (found["class_type"], found["inputs"]) for n, found in graph.items()}
    return {n: found for n, found in nodes.items() if found[0] != "LoadImage"}


def _changed(before: bytes, after: bytes) -> float:
    """Part of the pixels that differ visibly between two screenshots."""
    a, b = (np.asarray(Image.open(io.BytesIO(png)).convert("L"), int) for png in (before, after))
    return float((abs(a - b) > 16).mean())


@pytest.fixture
def in_chinese(frontend: FrontEnd) -> Iterator[FrontEnd]:
    """The page with a template open and its language set, which the server keeps for the user."""
    speak = "(language) => app.extensionManager.setting.set('Comfy.Locale', language)"
    frontend.page.evaluate(speak, "zh")
    frontend.link_to_template("text_edit")
    yield frontend
    frontend.page.evaluate(speak, "en")


def test_a_page_in_chinese_shows_the_nodes_in_chinese_and_links_in_colours(in_chinese):
    page, texts = in_chinese.page, load("zh")["TokenOpt_Optimize"]
    shown = page.evaluate(SHOWN)
    in_chinese.screenshot(SCREENSHOTS / "chinese.png")
    assert shown["title"] == texts["display_name"]
    assert shown["description"] == texts["description"]
    assert shown["tooltip"] == texts["inputs"]["lr"]["tooltip"]
    assert shown["widget"] == texts["inputs"]["lr"]["name"]
    assert shown["inputs"] == {name: said["name"] for name, said in texts["inputs"].items()}
    assert shown["outputs"] == [said["name"] for said in texts["outputs"].values()]
    help_page = "fetch('/extensions/tokenopt/docs/TokenOpt_Optimize/zh.md')"
    text = page.evaluate(f"() => {help_page}.then((got) => got.text())")
    assert text.startswith(f"# {texts['display_name']}\n")
    before = page.evaluate(COLOURS)
    page.evaluate("() => app.extensionManager.command.execute('Comfy.ToggleTheme')")
    page.wait_for_timeout(500)
    assert page.evaluate(COLOURS) == before, "another palette takes the colours away"
    page.evaluate("() => app.extensionManager.command.execute('Comfy.ToggleTheme')")
    assert len(set(before)) == 1
    assert before[0].startswith("#")
    assert in_chinese.errors == []
