"""The bar chart of Token Importance, measured in pixels."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bars(report):
    return report("bars")


@pytest.fixture(scope="module")
def axes(report):
    return report("axes")


def heights(bars, axes, values, **options) -> list[int]:
    """Pixels of each bar in a chart in which all bars are marked."""
    panel = bars.Bars("some", values, **options)
    image = np.asarray(bars.draw_bars([panel], marked=range(len(values)))).astype(int)
    counts = []
    for k in range(len(values)):
        left, right = bars.bar_edges(k, len(values))
        column = image[axes.TOP + axes.HEAD :, int((left + right) / 2) - 2]
        column = column[: bars.HEIGHT + 3]
        counts.append(int((abs(column - bars.BEST).max(-1) < 8).sum()))
    return counts


def test_bars_are_as_high_as_their_values(bars, axes):
    tall, half, none = heights(bars, axes, [0.4, 0.2, 0.0])
    assert tall == pytest.approx(bars.HEIGHT, abs=16)
    assert half == pytest.approx(tall / 2, abs=4)
    assert none <= 2


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-7, 0.0], [3.0, -1.0], [0.5]])
@pytest.mark.parametrize("percent", [False, True])
def test_odd_values_are_drawn(bars, axes, values, percent):
    image = bars.draw_bars([bars.Bars("odd", values, percent=percent)])
    assert image.width == axes.WIDTH


def test_as_many_positions_as_a_grid_of_tokens_has(bars, axes):
    values = np.linspace(0, 1, 256).tolist()
    image = bars.draw_bars([bars.Bars("many", values, line=0.5, line_name="half")], marked=[255])
    assert image.width == axes.WIDTH


def test_all_panels_have_the_same_size_whatever_is_in_them(bars):
    one = bars.draw_bars([bars.Bars("a", [0.1, 0.2])], title="short")
    two = bars.draw_bars([bars.Bars("b" * 300, [7.0, 9.0])], title="long " * 60)
    assert one.size == two.size


def test_values_above_bars_keep_apart(bars):
    assert bars.labelled([0.9, 0.9, 0.1, 0.5]) == [0, 1, 3]
    assert bars.labelled([0.9, 0.9, 0.9, 0.9, 0.9] + [0.1] * 27) == [0, 2, 4]
    assert bars.labelled([0.0, -1.0]) == []


def test_nothing_to_draw(bars):
    with pytest.raises(ValueError, match="no bars"):
        bars.draw_bars([])
