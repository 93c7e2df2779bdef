"""The Token Inspector in a real browser: clicks, keys and drags become the image.

Each test does its deeds in ComfyUI's classic and in its new rendering of nodes.
"""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import succeed
from devtools.comfyui.layout import DEV
from tests.browser.inspector_page import (
    INTO_SUBGRAPH,
    ON_THE_PAGE,
    OTHER_TAB_AND_BACK,
    RENDERERS,
    Fingers,
    alerts,
    hit,
    middle,
    open_inspectors,
    two_inspectors,
    use_renderer,
    widget_value,
)

SCREENSHOTS = DEV / "screenshots"


@pytest.fixture(params=RENDERERS)
def renderer(request, frontend):
    yield request.param
    frontend.page.evaluate("() => app.canvas.setGraph(app.rootGraph)")
    use_renderer(frontend, "classic")


def run(frontend) -> None:
    frontend.queue()
    frontend.wait_until_idle(60)


def last_image(client) -> np.ndarray:
    entry = list(client.get("/history").json().values())[-1]
    assert entry["status"]["status_str"] == "success"
    return np.asarray(client.view(entry["outputs"]["9"]["images"][0]))


def image_by_api(client, edits: str) -> np.ndarray:
    graph = two_inspectors()
    graph["6"]["inputs"]["edits"] = edits
    return np.asarray(client.images(succeed(client, graph), "9")[0])


def test_select_edit_copy_and_run(frontend, client, renderer):
    bright, dark = open_inspectors(frontend, renderer)
    assert "Run the workflow" in bright.status()  # nothing to show yet, and nothing broken
    assert alerts(frontend) == []
    run(frontend)
    before, other = bright.codes(), dark.codes()
    assert len(before) == 16
    assert before != other
    assert bright.find("img").evaluate("(image) => image.naturalWidth") == 64

    bright.click(2)
    bright.click(5, "Shift")
    bright.click(9, "Control")
    assert bright.widget("positions") == "2-5, 9"
    assert widget_value(frontend.page, "8", "positions") == "2-5, 9"  # Token Copy, connected to it
    bright.click(9, "Control")
    bright.click(4)
    assert bright.widget("positions") == "4"

    bright.cell(3).dblclick()
    field = bright.find("input")
    field.fill("1024")
    assert field.get_attribute("aria-invalid") == "true"
    assert "0 to 1023" in bright.status()
    field.fill("417")
    field.press("Enter")
    bright.cell(8).dblclick()
    bright.find("input").fill("1")
    bright.find("input").press("Escape")
    assert bright.widget("edits") == "3: 417"

    dark.drag(6, bright.cell(6))
    edits = f"3: 417, 6: {other[6]}"
    assert bright.widget("edits") == edits
    assert dark.widget("edits") == ""
    assert "tokenopt-pending" in bright.cell(6).get_attribute("class")
    run(frontend)
    after = bright.codes()
    assert [(p, after[p]) for p in range(16) if after[p] != before[p]] == [(3, 417), (6, other[6])]
    assert f"edited from {before[3]}, was {before[3]} in the last run" in bright.cell(
        3
    ).get_attribute("title")
    assert "tokenopt-changed" in bright.cell(6).get_attribute("class")
    assert "tokenopt-changed" not in bright.cell(7).get_attribute("class")
    frontend.screenshot(SCREENSHOTS / f"inspector-{renderer}.png")
    seen = last_image(client)
    assert (seen == image_by_api(client, edits)).all()
    assert (seen != image_by_api(client, "")).any()
    assert frontend.errors == []


def test_keyboard_alone(frontend, renderer):
    bright, dark = open_inspectors(frontend, renderer)
    run(frontend)
    press = frontend.page.keyboard.press
    before, other = bright.codes(), dark.codes()
    bright.cell(0).focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Space"):
        press(key)
    assert (bright.focused(), bright.widget("positions")) == (8, "8")
    press("Shift+ArrowRight")
    assert bright.widget("positions") == "8, 9"
    press("Enter")
    frontend.page.keyboard.type("77")
    press("Enter")
    assert bright.widget("edits") == "9: 77"
    assert bright.focused() == 9
    assert "code 77" in bright.status()
    press("Delete")
    assert bright.widget("edits") == ""
    assert len(bright.codes()) == 16  # and the node is still there
    assert bright.codes() == before

    dark.cell(6).focus()
    press("Control+c")
    bright.cell(0).focus()
    press("Control+v")
    assert bright.widget("edits") == f"6: {other[6]}"
    press("Escape")
    assert bright.widget("positions") == ""
    assert bright.cell(6).get_attribute("role") == "gridcell"
    assert f"code {other[6]}" in bright.cell(6).get_attribute("aria-label")
    assert frontend.errors == []


def test_what_is_saved_are_the_widgets(frontend):
    bright, _ = open_inspectors(frontend, "classic")
    run(frontend)
    bright.click(3)
    bright.cell(3).dblclick()
    bright.find("input").fill("9")
    bright.find("input").press("Enter")
    saved = frontend.workflow()
    values = {node["id"]: node.get("widgets_values") for node in saved["nodes"]}
    assert values[6] == ["3: 9", "3"]
    assert frontend.prompt()["6"]["inputs"].keys() == {"tokenizer", "tokens", "edits", "positions"}
    frontend.page.evaluate("(saved) => app.loadGraphData(saved)", saved)
    frontend.page.wait_for_timeout(500)
    assert (bright.widget("edits"), bright.widget("positions")) == ("3: 9", "3")
    assert frontend.errors == []
    assert alerts(frontend) == []


@pytest.mark.parametrize("renderer", ["new"], indirect=True)
def test_undo_another_tab_and_fingers(frontend, renderer):
    bright, dark = open_inspectors(frontend, renderer)
    run(frontend)
    page, before = frontend.page, bright.codes()
    bright.type_code(3, 417)
    run(frontend)
    hit(frontend, "Control", "z")
    assert page.evaluate(ON_THE_PAGE) == {"6": "", "7": ""}
    assert bright.codes_soon() == before
    assert bright.focused_soon() == 3
    hit(frontend, "Control", "y")
    assert page.evaluate(ON_THE_PAGE) == {"6": "3: 417", "7": ""}
    assert bright.changed_soon() == [3]
    bright.click(9)
    assert widget_value(page, "8", "positions") == "9"
    hit(frontend, "Control", "z")  # the selection, in both nodes
    assert (bright.widget("positions"), widget_value(page, "8", "positions")) == ("", "0")

    touch = Fingers(frontend)
    touch.go(middle(bright.cell(5)))
    assert bright.widget("positions") == "5"
    here, there = middle(dark.cell(6)), middle(bright.cell(6))
    touch.go(here, there, second=here)  # a pinch
    assert bright.widget("edits") == "3: 417"
    touch.go(here, there)
    assert bright.widget("edits") == f"3: 417, 6: {dark.codes()[6]}"

    edits = bright.widget("edits")
    page.evaluate(OTHER_TAB_AND_BACK)
    assert page.evaluate(ON_THE_PAGE) == {"6": edits, "7": ""}
    assert bright.codes_soon()[3] == 417
    assert bright.changed_soon() == [3]
    assert frontend.errors == []
    assert alerts(frontend) == []


@pytest.mark.parametrize("renderer", ["classic"], indirect=True)
def test_inside_a_subgraph(frontend, renderer):
    bright, _ = open_inspectors(frontend, renderer)
    frontend.page.evaluate(INTO_SUBGRAPH)
    run(frontend)
    before = bright.codes()
    assert len(before) == 16
    bright.type_code(3, 417)
    run(frontend)
    assert bright.codes()[3] == 417
    frontend.screenshot(SCREENSHOTS / f"inspector-subgraph-{renderer}.png")
    hit(frontend, "Control", "z")
    assert frontend.page.evaluate(ON_THE_PAGE) == {"6": ""}
    assert bright.codes_soon() == before
    bright.cell(3).focus()
    frontend.page.keyboard.press("Space")
    frontend.page.evaluate("() => app.canvas.setGraph(app.rootGraph)")
    assert widget_value(frontend.page, "8", "positions") == "3"  # Token Copy, outside


@pytest.mark.parametrize("renderer", ["classic"], indirect=True)
def test_outputs_that_are_faster_than_the_answer(frontend, renderer):
    """The page then keeps none of them for an undo or another tab; the inspector does."""
    bright, dark = open_inspectors(frontend, renderer)
    page = frontend.page

    def late(route) -> None:
        answer = route.fetch()
        page.wait_for_timeout(2500)
        route.fulfill(response=answer)

    page.route("**/prompt", late)
    run(frontend)
    before, other = bright.codes(), dark.codes()
    assert len(before) == len(other) == 16
    bright.type_code(3, 417)
    run(frontend)
    page.unroute("**/prompt")
    page.evaluate(OTHER_TAB_AND_BACK)
    assert bright.codes_soon()[3] == 417
    assert dark.codes_soon() == other
    bright.cell(2).focus()
    frontend.page.keyboard.press("ArrowRight")
    hit(frontend, "Control", "z")
    assert (bright.codes_soon(), dark.codes_soon()) == (before, other)
    assert bright.focused_soon() == 3
    assert frontend.errors == []
