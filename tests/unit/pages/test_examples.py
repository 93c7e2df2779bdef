"""The library's examples and the notebook run as they are, and make what they say."""

from __future__ import annotations

import ast
import json
import re
import sys

import pytest
from PIL import Image

from devtools.comfyui.layout import ROOT
from devtools.pages.notebook import NOTEBOOK, SOURCE, cells
from devtools.verdict import wanted_by

FOLDER = ROOT / "docs" / "examples" / "library"
EXAMPLES = {
    # what the output says; the columns of the picture
    "reconstruct": (r"mean error of a pixel: 0\.0[0-3]", 2),
    "copy_token": ("its token 6", 3),
    "edit_by_text": ("the judge", 5),
    "generate": ("the judge", 5),
    "inpaint": ("the judge", 3),
    "own_loss": (r"step 40: {'sunset': 0\.0\d*, 'edges': 0\.0", 2),
    "attribute": (r"the dark is in the tokens \(.*\b6\b", 4),
    "perturb": (r"position 6, now \d+: \d+ changes a pixel by 0\.[2-9]", 5),
}


def test_every_example_is_here():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*EXAMPLES, "pictures"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch, capsys):
    said, columns = EXAMPLES[name]
    path = FOLDER / f"{name}.py"
    code = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.stmt)]
    assert len(code) <= 40
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [str(path), str(tmp_path)])
    names = {"__name__": "__main__"}
    exec(compile(path.read_text("utf-8"), path, "exec"), names)  # noqa: S102
    out = capsys.readouterr().out
    assert re.search(said, out)
    if "PROMPT" in names:
        assert wanted_by(names["PROMPT"]).items() <= judged(out).items()
    sheet = Image.open(tmp_path / f"{name}.png").convert("RGB")
    assert sheet.width == 8 + 168 * columns
    last = [sheet.crop((x, 40, x + 150, 180)) for x in range(16, sheet.width, 168)]
    assert all(len(image.getcolors(2**16)) > 50 for image in last)
    assert last[0].tobytes() != last[-1].tobytes()


def judged(out: str) -> dict[str, str]:
    """What an example printed of the judge's view."""
    return ast.literal_eval(re.search(r"judge.*?({.*})", out)[1])


def notebook() -> dict:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def test_the_notebook_is_what_its_source_says():
    """Otherwise: `python -m devtools.pages.notebook`. It has its images, nothing of the machine."""
    saved = [(c["cell_type"], "".join(c["source"])) for c in notebook()["cells"]]
    assert saved == [(c.kind, c.text) for c in cells(SOURCE.read_text(encoding="utf-8"))]
    outputs = [out for cell in notebook()["cells"] for out in cell.get("outputs", [])]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 5
    assert not [
        out for out in outputs if out["output_type"] == "error" or out.get("name") == "stderr"
    ]
    assert NOTEBOOK.stat().st_size < 10**6
    assert not re.search(r"/(home|root|tmp|work|Users)/", NOTEBOOK.read_text(encoding="utf-8"))


def test_the_notebook_runs(capsys):
    """Its cells in one namespace, without Jupyter; a picture where the saved one has one."""
    names: dict[str, object] = {}
    for number, cell in enumerate(notebook()["cells"]):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"cell {number}", "exec"), names)  # noqa: S102
        value = eval(compile(ast.Expression(shown.value), "", "eval"), names) if shown else None  # noqa: S307
        pictures = ["image/png" in out.get("data", {}) for out in cell["outputs"]]
        assert isinstance(value, Image.Image) == any(pictures)
    assert value.size == (134 * 5, 134 * 2)
    shown_last = names["judge"](names["result"]).names()[0]
    assert wanted_by(names["prompt"]).items() <= shown_last.items()
    assert "step 40: {" in capsys.readouterr().out
