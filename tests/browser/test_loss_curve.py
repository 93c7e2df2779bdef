"""The optimizer's node in both renderings: loss curve, stop button and notes.

While it runs, after it, and on a page that was loaded anew or showed another tab.
"""

from __future__ import annotations

import json
import time

import pytest

from devtools.comfyui.checks import node
from devtools.comfyui.layout import DEV
from tests.browser.inspector_page import OTHER_TAB_AND_BACK, RENDERERS, alerts, use_renderer

SCREENSHOTS = DEV / "screenshots"
PLACES = """(places) => {
    for (const [id, pos] of Object.entries(places)) app.graph.getNodeById(id).pos = pos;
    for (const node of app.graph._nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name === 'control_after_generate') widget.value = 'fixed';
}"""
BOX = """([id, name]) => {
    const {widgets} = app.graph.getNodeById(id);
    return widgets.find((widget) => widget.name === name).element;
}"""
# What ComfyUI sends of a cached node since 0.19, where it has intermediate output.
SENT_AGAIN = """(output) => app.api.dispatchEvent(
    new CustomEvent('executed', {detail: {node: '6', display_node: '6', output}}))"""


@pytest.fixture(params=RENDERERS)
def renderer(request, frontend, client):
    yield request.param
    client.interrupt()  # where a test failed before its end
    use_renderer(frontend, "classic")


@pytest.fixture
def long_edit(workflow):
    """The shipped text edit with two terms, more steps than anyone waits for, and a judge."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=1, prompt="a green star:1 | dark:-0.3")
    graph["6"]["inputs"].update(steps=9000, seed=time.time_ns() % 2**32, preview_every=0)
    graph["7"] = node("SaveImage", images=["6", 0], filename_prefix="tokenopt/stopped")
    judged = {"image": ["6", 0], "guide": ["2", 0], "prompt": "a green star", "before": ["3", 0]}
    graph["8"] = node("TokenOpt_Judge", **judged)
    return {number: graph[number] for number in "12345678"}


def test_curve_grows_while_it_runs_and_the_stop_button_ends_it(
    frontend, client, long_edit, renderer
):
    show(frontend, long_edit, renderer)
    page = frontend.page
    curve, button, notes = boxes(page)
    assert not any(box.is_visible() for box in (curve, button, notes))
    values = widget_values(frontend)
    frontend.queue()
    button.wait_for_element_state("visible", timeout=60_000)
    follow(page, curve)
    said = curve.query_selector(".tokenopt-loss-head").inner_text()
    assert all(name in said for name in ("total", "clip: a green star", "clip: dark"))
    assert len(curve.query_selector_all("path")) == 2 + 3  # frame, then total and two terms
    frontend.screenshot(SCREENSHOTS / f"loss-curve-{renderer}.png")
    wide = (curve.bounding_box()["width"], button.bounding_box()["width"])
    assert wide[0] == pytest.approx(wide[1], abs=2), "the curve sticks out of the node"

    frontend.open()  # F5: the rest of the curve, and the button, come all the same
    curve, button, notes = boxes(page)
    button.wait_for_element_state("visible", timeout=60_000)
    follow(page, curve)
    assert not begins_with_the_run(curve)
    frontend.fit_view()
    button.query_selector("button").click()
    notes.wait_for_element_state("visible", timeout=60_000)
    frontend.wait_until_idle(60)
    entry = list(client.get("/history").json().values())[-1]
    assert entry["status"]["status_str"] == "success"
    told = json.loads(entry["outputs"]["6"]["tokenopt"][0])
    assert told["stopped_by_user"]
    assert told["steps"] < 9000
    assert client.view(entry["outputs"]["7"]["images"][0]).size == (64, 64)
    assert not button.is_visible()
    assert "verdict" in box(page, 8, "tokenopt_notes").inner_text()
    assert widget_values(frontend) == values
    says_how_it_went(page)

    page.evaluate(OTHER_TAB_AND_BACK)
    says_how_it_went(page)
    frontend.open()
    page.evaluate(SENT_AGAIN, entry["outputs"]["6"])
    says_how_it_went(page)
    assert frontend.errors == []
    assert alerts(frontend) == []


def show(frontend, graph, renderer) -> None:
    use_renderer(frontend, "classic")
    frontend.load_api(graph, "long edit")
    columns = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (3, 0), (3, 1)]
    places = {str(i + 1): [520 * x, 420 * y] for i, (x, y) in enumerate(columns)}
    frontend.page.evaluate(PLACES, places)
    use_renderer(frontend, renderer)
    frontend.fit_view()


def box(page, number: int, name: str):
    return page.evaluate_handle(BOX, [number, name]).as_element()


def boxes(page):
    """Curve, button and notes of the optimizer that the page shows now."""
    return [box(page, 6, name) for name in ("tokenopt_loss", "stop_and_keep", "tokenopt_notes")]


def follow(page, curve) -> None:
    """The curve must show up, and grow."""
    curve.wait_for_element_state("visible", timeout=60_000)
    heads = set()
    deadline = time.monotonic() + 60
    while len(heads) < 2 and time.monotonic() < deadline:
        heads.add(curve.query_selector(".tokenopt-loss-where").inner_text())
        page.wait_for_timeout(100)
    assert len(heads) == 2, f"the curve does not grow: {heads}"
    assert all(head.endswith("of 9000") for head in heads)


def begins_with_the_run(curve) -> bool:
    return curve.query_selector_all("path")[-1].get_attribute("d").startswith("M0.00 ")


def says_how_it_went(page) -> None:
    """The node shows the whole curve, and the note of a run that was stopped."""
    curve, _, notes = boxes(page)
    for shown in (curve, notes):
        shown.wait_for_element_state("visible", timeout=10_000)
    assert begins_with_the_run(curve)
    assert notes.inner_text().startswith("stopped by the user")


def widget_values(frontend) -> dict:
    """What is saved of the widgets: none of the boxes may show up there."""
    return {found["id"]: found.get("widgets_values") for found in frontend.workflow()["nodes"]}
