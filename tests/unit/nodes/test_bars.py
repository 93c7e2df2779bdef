"""The bar chart of Token Importance, measured in pixels."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

import numpy as np
import pytest

NODES = Path(__file__).parents[3] / "nodes"


@pytest.fixture(scope="module")
def bars():
    """nodes/report/bars.py alone: the package around it needs ComfyUI, the chart does not."""
    package = types.ModuleType("bar_files")
    package.__path__ = [str(NODES)]
    sys.modules["bar_files"] = package
    yield importlib.import_module("bar_files.report.bars")
    for name in [name for name in sys.modules if name.startswith("bar_files")]:
        del sys.modules[name]


def heights(bars, values, **options) -> list[int]:
    """Pixels of each bar in a chart in which all bars are marked."""
    panel = bars.Bars("some", values, **options)
    picture = np.asarray(bars.draw_bars([panel], marked=range(len(values)))).astype(int)
    found = []
    for k in range(len(values)):
        left, right = bars._slot(k, len(values))
        column = picture[bars.TOP + bars.HEAD :, int((left + right) / 2) - 2]
        column = column[: bars.HEIGHT + 3]
        found.append(int((abs(column - bars.BEST).max(-1) < 8).sum()))
    return found


def test_bars_are_as_high_as_their_values(bars):
    tall, half, none = heights(bars, [0.4, 0.2, 0.0])
    assert tall == pytest.approx(bars.HEIGHT, abs=16)
    assert half == pytest.approx(tall / 2, abs=4)
    assert none <= 2


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-7, 0.0], [3.0, -1.0], [0.5]])
@pytest.mark.parametrize("percent", [False, True])
def test_odd_values_are_drawn(bars, values, percent):
    picture = bars.draw_bars([bars.Bars("odd", values, percent=percent)])
    assert picture.width == bars.WIDTH


def test_as_many_positions_as_a_grid_of_tokens_has(bars):
    values = np.linspace(0, 1, 256).tolist()
    picture = bars.draw_bars([bars.Bars("many", values, line=0.5, line_name="half")], marked=[255])
    assert picture.width == bars.WIDTH


def test_all_panels_have_the_same_size_whatever_is_in_them(bars):
    one = bars.draw_bars([bars.Bars("a", [0.1, 0.2])], title="short")
    two = bars.draw_bars([bars.Bars("b" * 300, [7.0, 9.0])], title="long " * 60)
    assert one.size == two.size


def test_nothing_to_draw(bars):
    with pytest.raises(ValueError, match="no bars"):
        bars.draw_bars([])
