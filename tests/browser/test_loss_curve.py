"""The optimizer's node while it runs, in both renderings: loss curve, stop button and notes."""

from __future__ import annotations

import json
import time

import pytest

from devtools.checks import node
from devtools.layout import DEV
from tests.browser.inspector_page import RENDERERS, use_renderer

SCREENSHOTS = DEV / "screenshots"
PLACES = """(places) => {
    for (const [id, pos] of Object.entries(places)) app.graph.getNodeById(id).pos = pos;
    for (const node of app.graph._nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name === 'control_after_generate') widget.value = 'fixed';
}"""
BOX = """(name) => {
    const {widgets} = app.graph.getNodeById(6);
    return widgets.find((widget) => widget.name === name).element;
}"""


@pytest.fixture(params=RENDERERS)
def renderer(request, frontend, client):
    yield request.param
    client.interrupt()  # where a test failed before its end
    use_renderer(frontend, "classic")


@pytest.fixture
def long_edit(workflow):
    """The shipped text edit with two terms, and more steps than anyone waits for."""
    graph = workflow("text_edit")
    graph["5"]["inputs"].update(crops=1, prompt="a green star:1 | dark:-0.3")
    graph["6"]["inputs"].update(steps=9000, seed=time.time_ns() % 2**32, preview_every=0)
    graph["7"] = node("SaveImage", images=["6", 0], filename_prefix="tokenopt/stopped")
    return {number: graph[number] for number in "1234567"}


def test_curve_grows_while_it_runs_and_the_stop_button_ends_it(
    frontend, client, long_edit, renderer
):
    use_renderer(frontend, "classic")
    frontend.load_api(long_edit, "long edit")
    places = {
        str(i + 1): [520 * x, 420 * y]
        for i, (x, y) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (3, 0)])
    }
    frontend.page.evaluate(PLACES, places)
    use_renderer(frontend, renderer)
    frontend.fit_view()
    page = frontend.page
    curve, button, notes = (
        page.evaluate_handle(BOX, name).as_element()
        for name in ("tokenopt_loss", "stop_and_keep", "tokenopt_notes")
    )
    assert not any(box.is_visible() for box in (curve, button, notes))
    values = widget_values(frontend)
    frontend.queue()
    button.wait_for_element_state("visible", timeout=60_000)
    curve.wait_for_element_state("visible", timeout=60_000)
    heads = set()
    deadline = time.monotonic() + 60
    while len(heads) < 2 and time.monotonic() < deadline:
        heads.add(curve.query_selector(".tokenopt-loss-where").inner_text())
        page.wait_for_timeout(100)
    assert len(heads) == 2, f"the curve does not grow: {heads}"
    assert all(head.endswith("of 9000") for head in heads)
    said = curve.query_selector(".tokenopt-loss-head").inner_text()
    assert all(name in said for name in ("total", "clip: a green star", "clip: dark"))
    assert len(curve.query_selector_all("path")) == 2 + 3  # frame, then total and two terms
    frontend.screenshot(SCREENSHOTS / f"loss-curve-{renderer}.png")
    wide = (curve.bounding_box()["width"], button.bounding_box()["width"])
    assert wide[0] == pytest.approx(wide[1], abs=2), "the curve sticks out of the node"
    button.query_selector("button").click()
    frontend.wait_until_idle(60)
    page.wait_for_timeout(500)
    frontend.screenshot(SCREENSHOTS / f"loss-curve-stopped-{renderer}.png")
    entry = list(client.get("/history").json().values())[-1]
    assert entry["status"]["status_str"] == "success"
    assert json.loads(entry["outputs"]["6"]["tokenopt"][0])["stopped_by_user"]
    assert not button.is_visible()
    assert curve.is_visible()
    assert notes.is_visible()
    assert notes.inner_text().startswith("stopped by the user")
    assert widget_values(frontend) == values
    assert frontend.errors == []


def widget_values(frontend) -> dict:
    """What is saved of the widgets: none of the boxes may show up there."""
    return {found["id"]: found.get("widgets_values") for found in frontend.workflow()["nodes"]}
