"""The notebook: `python -m devtools.pages.notebook` runs docs/examples/tour.py, saves tour.ipynb.

Jupyter is not among the development requirements: `pip install nbclient ipykernel` first. A test
runs the cells without it, and compares the notebook with its source.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

from ..comfyui.layout import ROOT

SOURCE = ROOT / "docs" / "examples" / "tour.py"
NOTEBOOK = SOURCE.with_suffix(".ipynb")
_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A part of the source: Markdown without its comment signs, or code."""

    kind: str  # "markdown" or "code"
    text: str


def cells(source: str) -> list[Cell]:
    """The cells of a text in percent format (`# %%` and `# %% [markdown]`), its head left out."""
    _, *parts = _CELL.split(source)
    parsed = []
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        if mark:
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        parsed.append(Cell("markdown" if mark else "code", text.strip("\n")))
    return parsed


def main() -> int:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    for number, cell in enumerate(cells(SOURCE.read_text(encoding="utf-8"))):
        new = getattr(nbformat.v4, f"new_{cell.kind}_cell")(cell.text)
        new["id"] = f"cell-{number}"  # else random: every run would change the file
        notebook.cells.append(new)
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm looks for bars
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(ROOT)}}).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # times
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, NOTEBOOK)
    print(f"{NOTEBOOK.relative_to(ROOT)}: {NOTEBOOK.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
