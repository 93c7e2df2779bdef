"""The README's Python runs as printed, and its tables name what there is."""

import re
from pathlib import Path

import tokenopt_core

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_library_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    assert names["images"].shape == (1, 3, 64, 64)
    assert "shape" in capsys.readouterr().out


def test_every_template_is_listed():
    shipped = {path.stem for path in (ROOT / "workflows").glob("*.json")}
    assert shipped == set(re.findall(r"^\| `(\w+)` \|", README, flags=re.M))


def test_public_names_exist():
    assert all(hasattr(tokenopt_core, name) for name in tokenopt_core.__all__)
