"""Templates for released weights in the front end: complete, and announced when models miss."""

from __future__ import annotations

import json

from PIL import Image

from devtools.comfyui.layout import DEV
from devtools.comfyui.template_files import TEMPLATES, template_file
from devtools.templates.released import MODELS, is_released

OPEN = "(graph) => app.loadGraphData(graph, true, true, null, {showMissingModelsDialog: false})"


def test_missing_models_are_named_and_all_templates_are_the_api_workflows(
    frontend, client, workflow
):
    client.upload(Image.new("RGB", (64, 64)), "example.png")  # every ComfyUI brings one
    names = [name for name in TEMPLATES if is_released(name)]
    assert len(names) == 3
    frontend.load_template(names[0])
    dialog = frontend.page.locator(".comfy-missing-models")
    dialog.wait_for()
    said = dialog.inner_text()
    for model in MODELS.values():
        assert f"{model['directory']} / {model['name']}" in said
    assert "allowed" not in said  # the front end takes the links for what they are
    frontend.screenshot(DEV / "screenshots" / "missing-models.png")
    frontend.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    for name in names:
        saved = json.loads(template_file(name).read_text(encoding="utf-8"))
        frontend.page.evaluate(OPEN, saved)
        frontend.fit_view()
        frontend.screenshot(DEV / "screenshots" / f"released-{name}.png")
        posted = frontend.prompt()
        plain = {n: (node["class_type"], node["inputs"]) for n, node in posted.items()}
        wanted = {n: (node["class_type"], node["inputs"]) for n, node in workflow(name).items()}
        assert plain == wanted
    assert frontend.alerts() == []
    # The message about missing models asks for their sizes, which no test may download.
    assert [text for text in frontend.errors if "fetching file size" not in text] == []
    frontend.errors.clear()
