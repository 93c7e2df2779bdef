"""Templates in the real front end: opened by its own template loader, run, and looked at."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from devtools.frontend import FrontEnd
from devtools.layout import DEV
from devtools.locales import load
from devtools.released import is_released
from devtools.templates import API_WORKFLOWS, READY, TEMPLATES, file_name, template_file

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


def test_every_workflow_has_a_template_and_a_thumbnail(client):
    assert {path.stem for path in API_WORKFLOWS.glob("*.json")} == set(TEMPLATES)
    shown = [file_name(name) for name in TEMPLATES]
    assert sorted(client.get("/api/workflow_templates").json()["tokenopt"]) == shown
    for name in shown:
        thumbnail = client.get(f"/api/workflow_templates/tokenopt/{name}.jpg")
        assert Image.open(io.BytesIO(thumbnail.content)).size == (384, 384)


def test_the_node_shows_the_image_while_it_changes(frontend, client):
    client.free()  # so that nothing is taken from the results of an earlier test
    frontend.load_template("text_edit")
    frontend.fit_view()
    box = frontend.node_box("TokenOpt_Optimize")
    before = frontend.screenshot(SCREENSHOTS / "before-run.png", box)
    received = frontend.previews
    assert frontend.alerts() == []
    frontend.queue()
    frontend.wait_for_previews(received + 2)
    running = frontend.screenshot(SCREENSHOTS / "node-running.png", box)
    frontend.screenshot(SCREENSHOTS / "running.png")
    frontend.wait_until_idle()
    frontend.page.wait_for_timeout(1000)
    frontend.screenshot(SCREENSHOTS / "finished.png")
    assert _changed(before, running) > 0.05, "the preview is not to be seen in the node"
    assert frontend.errors == []
    assert frontend.alerts() == []


@pytest.mark.parametrize("name", WITH_DEMO)
def test_template_runs_untouched_and_is_the_api_workflow(frontend, client, workflow, name):
    frontend.load_template(name)
    posted = frontend.prompt()
    assert _plain(posted) == _plain(workflow(name) | READY.get(name, {}))
    run = client.run(posted)
    assert run.status == "success", run.error
    assert frontend.errors == []
    assert frontend.alerts() == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_is_tidy(name):
    saved = json.loads(template_file(name).read_text(encoding="utf-8"))
    ours = [node for node in saved["nodes"] if node["type"].startswith("TokenOpt_")]
    assert ours
    assert any(node["type"] == "MarkdownNote" for node in saved["nodes"])
    for node in ours:
        assert node["properties"]["cnr_id"] == "tokenopt"
        assert node["properties"]["Node name for S&R"] == node["type"]
        assert not {"randomize", "increment", "decrement"} & set(
            map(str, node.get("widgets_values", []))
        )
    boxes = [(*node["pos"], *node["size"]) for node in saved["nodes"]]
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
    nodes = {n: (node["class_type"], node["inputs"]) for n, node in graph.items()}
    return {n: node for n, node in nodes.items() if node[0] != "LoadImage"}


def _changed(before: bytes, after: bytes) -> float:
    """Part of the pixels that differ visibly between two screenshots."""
    a, b = (np.asarray(Image.open(io.BytesIO(png)).convert("L"), int) for png in (before, after))
    return float((abs(a - b) > 16).mean())


@pytest.fixture
def in_chinese(frontend: FrontEnd) -> Iterator[FrontEnd]:
    """The page with a template open and its language set, which the server keeps for the user."""
    speak = "(language) => app.extensionManager.setting.set('Comfy.Locale', language)"
    frontend.page.evaluate(speak, "zh")
    frontend.load_template("text_edit")
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
