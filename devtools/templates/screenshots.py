"""Screenshots of the templates: `.venv/bin/python -m devtools.templates.screenshots [NAME ...]`.

Opens and photographs the templates in the front end that ComfyUI 0.3.75 pins and in the newest
one, in classic and new rendering, in a small and in a large window. The screenshots and a sheet
of them all are in .dev/screenshots/FRONT_END-RENDERING-WIDTH, for inspection. Nothing is run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

from ..comfyui.frontend import FrontEnd
from ..comfyui.layout import DEV, newest_frontend
from ..comfyui.server import ComfyServer
from ..comfyui.template_files import TEMPLATES, template_file
from ..sheets import contact_sheet

WINDOWS = [(1366, 768), (2560, 1440)]
SHEET, COLUMNS = 640, 3  # width of an image on a sheet in pixels, images in a row
RENDERING = "(on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"


def main(names: list[str]) -> int:
    templates = [template_file(name) for name in names or TEMPLATES]
    front_ends = {"pinned": [], "newest": ["--front-end-root", str(newest_frontend())]}
    for front_end, arguments in front_ends.items():
        log = DEV / "logs" / "screenshots.log"
        base = DEV / "screenshots-base"
        with ComfyServer(base, log=log, arguments=arguments) as server:
            server.client().upload(Image.new("RGB", (64, 64)), "example.png")  # as ComfyUI has one
            for width, height in WINDOWS:
                with FrontEnd(server.url, width=width, height=height) as opened:
                    for rendering in ("classic", "new"):
                        folder = DEV / "screenshots" / f"{front_end}-{rendering}-{width}"
                        _photograph(opened, rendering, templates, folder)
                        shots = [Image.open(folder / f"{file.stem}.png") for file in templates]
                        sheet = contact_sheet(shots, COLUMNS, SHEET)
                        sheet.save(folder.with_suffix(".jpg"), quality=90)
                        print(folder, "errors:", opened.errors or "none", flush=True)
    return 0


def _photograph(opened: FrontEnd, rendering: str, templates: list[Path], folder: Path) -> None:
    opened.page.evaluate(RENDERING, rendering == "new")
    for template in templates:
        opened.load_workflow(json.loads(template.read_text(encoding="utf-8")), template.stem)
        opened.page.wait_for_timeout(300)
        opened.fit_view()
        opened.screenshot(folder / f"{template.stem}.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
