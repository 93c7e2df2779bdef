"""The stop button in the real front end: there while a node runs, and what is kept is saved."""

from __future__ import annotations

import json

import pytest

from devtools.layout import DEV

SCREENSHOTS = DEV / "screenshots"
WIDGET = """([kind, name]) => {
    const node = app.graph._nodes.find((node) => node.type === kind);
    const widget = node.widgets.find((widget) => widget.name === name);
    if (!widget || widget.hidden) return null;
    const canvas = app.canvas.canvas.getBoundingClientRect();
    const {scale, offset} = app.canvas.ds;
    const height = widget.computedHeight ?? LiteGraph.NODE_WIDGET_HEIGHT;
    return {
        x: canvas.x + (node.pos[0] + node.size[0] / 2 + offset[0]) * scale,
        y: canvas.y + (node.pos[1] + widget.last_y + height / 2 + offset[1]) * scale,
        value: widget.value,
    };
}"""

FIXED_SEEDS = """() => {
    for (const node of app.graph._nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name === 'control_after_generate') widget.value = 'fixed';
}"""


@pytest.fixture
def slow_edit(workflow):
    """The shipped text edit with more steps than anyone waits for, and a judge at its end."""
    graph = workflow("text_edit")
    graph["6"]["inputs"].update(steps=5000, seed=900)
    prompt = graph["5"]["inputs"]["prompt"]
    inputs = {"image": ["6", 0], "guide": ["2", 0], "prompt": prompt, "before": ["3", 0]}
    graph["20"] = {"class_type": "TokenOpt_Judge", "inputs": inputs}
    return graph


def widget(frontend, kind: str, name: str) -> dict | None:
    return frontend.page.evaluate(WIDGET, [kind, name])


def test_stop_button_ends_the_run_and_the_image_is_saved(frontend, client, slow_edit):
    frontend.load_api(slow_edit, "slow edit")
    frontend.page.evaluate("() => app.graph.arrange()")
    frontend.fit_view()
    frontend.page.evaluate(FIXED_SEEDS)
    assert widget(frontend, "TokenOpt_Optimize", "stop_and_keep") is None
    saved = frontend.workflow()
    received = frontend.previews
    frontend.queue()
    frontend.wait_for_previews(received + 4)
    button = widget(frontend, "TokenOpt_Optimize", "stop_and_keep")
    assert button, "the running node shows no stop button"
    frontend.screenshot(SCREENSHOTS / "stop-running.png")
    box = frontend.node_box("TokenOpt_Optimize")
    frontend.screenshot(SCREENSHOTS / "stop-button.png", box)
    frontend.page.mouse.click(button["x"], button["y"])
    frontend.wait_until_idle()
    frontend.page.wait_for_timeout(1000)
    frontend.screenshot(SCREENSHOTS / "stop-finished.png")

    entry = list(client.get("/history").json().values())[-1]
    assert entry["status"]["status_str"] == "success"
    told = json.loads(entry["outputs"]["6"]["tokenopt"][0])
    assert told["stopped_by_user"]
    assert told["steps"] < 5000
    assert client.view(entry["outputs"]["8"]["images"][0]).size == (64, 64)
    assert widget(frontend, "TokenOpt_Optimize", "stop_and_keep") is None
    note = widget(frontend, "TokenOpt_Optimize", "tokenopt_notes")
    assert note["value"].startswith("stopped by the user")
    assert "verdict" in widget(frontend, "TokenOpt_Judge", "tokenopt_notes")["value"]
    assert _values(frontend.workflow()) == _values(saved)
    assert frontend.errors == []
    assert frontend.alerts() == []


def _values(saved: dict) -> dict:
    """What is saved of the widgets: button and notes must not show up there."""
    return {node["id"]: node.get("widgets_values") for node in saved["nodes"]}
