"""docs/losses.md: its library code runs as printed, and it names what there is."""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch

import tokenopt_core
from tokenopt_core.losses.base import as_loss

PAGE = (Path(__file__).parents[3] / "docs" / "losses.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The Python code under a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, flags=re.S | re.M)
    return re.findall(r"```python\n(.*?)```", section, flags=re.S)


def run(code: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(code, "docs/losses.md", "exec"), names)  # noqa: S102
    return names


def test_ten_lines(capsys):
    (code,) = blocks("Ten lines, in the library")
    names = run(code)
    assert "'warm': " in capsys.readouterr().out
    assert set(names["step"].terms) == {"clip: a large circle", "clip: dark", "warm"}
    assert names["step"].index == 19
    assert len(code.strip().splitlines()) <= 15


def test_the_gradient_that_where_does_not_save():
    trapped, safe = re.findall(r"`((?:torch\.where\(|x\.clamp\()[^`]+)`", PAGE)
    gradients = []
    for code in (trapped, safe):
        x = torch.tensor([-1.0, 4.0], requires_grad=True)
        value = eval(code, {"torch": torch, "x": x})  # noqa: S307
        assert value.isfinite().all()
        gradients.append(torch.autograd.grad(value.sum(), x)[0].tolist())
    assert math.isnan(gradients[0][0])
    assert gradients[1] == [0.0, 0.25]


def test_the_loss_with_a_schedule(images):
    (code,) = blocks("Methods that a loss may have")
    loss = run(code)["Contrast"]()
    assert not as_loss(loss).at(0.0)(images).any()
    variable = images.requires_grad_()
    (gradient,) = torch.autograd.grad(as_loss(loss).at(1.0)(variable).sum(), variable)
    after = (images - gradient).detach()
    assert (after.std((2, 3)).mean(1) > images.std((2, 3)).mean(1)).all()
    assert list(as_loss(as_loss(loss).at(0.5)).terms(images)) == ["contrast"]


def test_every_loss_is_listed_and_every_listed_name_exists():
    listed = set(re.findall(r"`(\w+Loss|\w+Composite|WeightedSum)\b", PAGE))
    there = {n for n in tokenopt_core.__all__ if re.fullmatch(r"\w+(Loss|Composite|Sum)", n)}
    assert listed == there - {"Loss"}


def test_the_prompts_are_prompts():
    prompts = re.findall(r"^\| `([^`]+)` \| (?:towards|the first)", PAGE, flags=re.M)
    parts = [len(tokenopt_core.parse_prompt(text.replace(r"\|", "|"))) for text in prompts]
    assert parts == [1, 2, 2]
