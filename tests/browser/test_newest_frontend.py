"""The newest front end over the oldest ComfyUI: templates open and run, in both renderings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from devtools.comfyui.frontend import FrontEnd
from devtools.comfyui.layout import DEV, newest_frontend
from devtools.comfyui.server import ComfyServer
from devtools.comfyui.template_files import READY, TEMPLATES, template_file
from tests.browser.inspector_page import OTHER_TAB_AND_BACK, RENDERERS, alerts, use_renderer
from tests.browser.test_browser import STEPS, names_are_filled_in

SCREENSHOTS = DEV / "screenshots"
PROMPT = """(prompt) => {
    for (const widget of app.graph._nodes.flatMap((node) => node.widgets ?? []))
        if (widget.name === 'prompt') widget.value = prompt;
}"""
SAID = """() => {
    const said = (type, name) => {
        const node = app.graph._nodes.find((node) => node.type === type);
        const widget = node.widgets.find((widget) => widget.name === name);
        return widget.hidden ? '' : widget.element.textContent;
    };
    const curve = said('TokenOpt_Optimize', 'tokenopt_loss');
    return [said('TokenOpt_ClipLoss', 'tokenopt_notes'), curve];
}"""

NO_DOWNLOAD = """() => {
    for (const widget of app.graph._nodes.flatMap((node) => node.widgets ?? []))
        if (widget.name === 'download') widget.value = false;
}"""


@pytest.fixture(scope="module")
def newest(server: ComfyServer, page_at: Callable[[str], FrontEnd]) -> Iterator[FrontEnd]:
    """The front end that dev.py took from its newest package, in place of the pinned one."""
    root = ["--front-end-root", str(newest_frontend())]
    base = server.base.with_name(f"{server.base.name}-newest")
    log = DEV / "logs" / f"{base.name}.log"
    with ComfyServer(base, log=log, arguments=root) as running:
        running.client().upload(Image.new("RGB", (64, 64)), "example.png")  # every ComfyUI has one
        yield page_at(running.url)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_every_template_opens_in_it_as_it_is(newest, workflow, renderer):
    use_renderer(newest, renderer)
    for name in TEMPLATES:
        newest.load_workflow(json.loads(template_file(name).read_text(encoding="utf-8")), name)
        posted, expected = newest.prompt(), workflow(name) | READY.get(name, {})
        found = {number: node["class_type"] for number, node in posted.items()}
        ours = {number: node["class_type"] for number, node in expected.items()}
        assert found == ours, name
        for number, node in posted.items():
            if node["class_type"].startswith("TokenOpt_"):
                assert node["inputs"] == node["inputs"] | expected[number]["inputs"], name
        assert newest.errors == [], name
        assert alerts(newest) == [], name


def test_a_date_and_a_widget_in_a_name_are_filled_in(newest):
    names_are_filled_in(newest)


@pytest.mark.parametrize(("renderer", "steps"), [("classic", 12), ("new", 13)])
def test_a_template_runs_in_it_with_previews_and_keeps_what_it_said(newest, renderer, steps):
    newest.load_template("text_edit")
    use_renderer(newest, renderer)
    newest.page.evaluate(STEPS, steps)
    newest.page.evaluate(PROMPT, "a red zebra")  # of which Clip Loss has something to say
    before = newest.previews
    newest.fit_view()
    newest.queue()
    newest.wait_until_idle()
    newest.screenshot(SCREENSHOTS / f"newest-{renderer}.png")
    assert newest.previews > before
    said = newest.page.evaluate(SAID)
    assert all(said)
    newest.page.evaluate(OTHER_TAB_AND_BACK)
    for _ in range(50):
        if newest.page.evaluate(SAID) == said:
            break
        newest.page.wait_for_timeout(100)
    assert newest.page.evaluate(SAID) == said
    assert newest.errors == []
    assert alerts(newest) == []


def test_a_missing_model_is_told_by_the_loader(newest):
    """It has no message of its own about them: no value of our menus ends like a file's name."""
    newest.load_template("l32_text_edit")
    newest.page.evaluate(NO_DOWNLOAD)
    newest.queue()
    newest.wait_until_idle()
    newest.page.get_by_text("View details").first.click()
    told = newest.page.get_by_text("'titok-l32' is not on this computer, and download is off").first
    told.wait_for()
    newest.screenshot(SCREENSHOTS / "newest-missing-model.png")
    assert "model.safetensors from https://huggingface.co/" in told.inner_text()
    assert newest.errors == []
