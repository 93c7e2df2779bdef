"""The README's Python runs as printed, and its commands are there."""

import ast
import re
from pathlib import Path

import tokenopt_core
from devtools.verdict import wanted_by

ROOT = Path(__file__).parents[3]
DEV = (ROOT / "dev.py").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_library_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    assert names["images"].shape == (1, 3, 64, 64)
    (shown,) = ast.literal_eval(capsys.readouterr().out)
    assert wanted_by(names["prompt"]).items() <= shown.items()


def test_the_two_commands_are_commands_of_dev_py():
    (block,) = re.findall(r"^## Try it\n.*?```\n(.*?)```", README, flags=re.S | re.M)
    named = re.findall(r"^python dev\.py (\w+) ", block, flags=re.M)
    assert named == ["demo", "serve"]
    offered = re.findall(r'^ *command\(\s*"(\w+)"|= command\("(\w+)"', DEV, flags=re.M)
    commands = {a or b for a, b in offered}
    assert {*named, "test", "bench"} <= commands


def test_public_names_exist():
    assert all(hasattr(tokenopt_core, name) for name in tokenopt_core.__all__)
