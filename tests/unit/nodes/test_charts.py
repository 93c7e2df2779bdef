"""The loss chart: what its image shows, measured in pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest


@pytest.fixture(scope="module")
def charts(report):
    return report("chart")


def rows_of(image, colour: tuple[int, int, int], left: float, right: float) -> np.ndarray:
    """The rows in which a colour is to be seen in a part of the image, as shares of its width."""
    pixels = np.asarray(image).astype(int)
    width = pixels.shape[1]
    part = pixels[:, int(left * width) : int(right * width)]
    return np.nonzero((np.abs(part - colour).sum(2) < 30).any(1))[0]


def test_a_falling_loss_falls_from_left_to_right(charts):
    curve = [[1.0 - i / 99] for i in range(100)]
    image = charts.draw_chart({"clip": curve})
    early, late = (
        rows_of(image, charts.COLOURS[0], *part)[-1] for part in ((0.3, 0.35), (0.9, 0.95))
    )
    assert late - early > 0.4 * image.height


def test_every_term_has_a_panel_of_its_own_scale_and_a_total_above(charts):
    large = [[100.0 + i] for i in range(50)]
    small = [[0.001 - i * 1e-5] for i in range(50)]
    image = charts.draw_chart({"large": large, "small": small}, beside={"penalty": small})
    colours = [charts.TOTAL_COLOUR, *charts.COLOURS[:3]]
    spans = [rows_of(image, colour, 0.2, 0.9) for colour in colours]
    heights = [np.ptp(rows) for rows in spans]
    assert min(heights) > 60
    middles = [np.median(rows) for rows in spans]
    assert middles == sorted(middles)


def test_the_total_is_the_sum_of_the_terms_alone(charts):
    flat, steep = [[5.0]] * 40, [[float(i)] for i in range(40)]
    level = charts.draw_chart({"a": flat, "b": flat}, beside={"penalty": steep})
    rows = rows_of(level, charts.TOTAL_COLOUR, 0.3, 0.6)
    assert np.ptp(rows) < 8


@pytest.mark.parametrize("images", [1, 5, 40])
@pytest.mark.parametrize("steps", [1, 2, 300])
def test_any_number_of_steps_and_images(charts, steps, images):
    curve = [[math.sin(i + k) for k in range(images)] for i in range(steps)]
    image = charts.draw_chart({"clip": curve}, title="x" * 500, ends=[0] * images)
    assert image.width == 832
    assert len(rows_of(image, charts.COLOURS[0], 0.1, 1))


def test_numbers_that_are_none_leave_a_gap(charts):
    curve = [[0.0]] * 40 + [[math.nan]] * 40 + [[0.0]] * 40
    image = charts.draw_chart({"clip": curve})
    head = 80  # the name above the panel has the colour too
    assert (rows_of(image, charts.COLOURS[0], 0.15, 0.3) > head).any()
    assert not (rows_of(image, charts.COLOURS[0], 0.47, 0.6) > head).any()
    charts.draw_chart({"clip": [[math.inf], [math.nan]]})


def test_many_terms_are_not_drawn_for_ever(charts):
    curves = {f"term {i}": [[float(i)], [0.0]] for i in range(30)}
    assert charts.draw_chart(curves).height < 1800


@pytest.mark.parametrize("curves", [{}, {"clip": []}, {"clip": [[]]}])
def test_nothing_to_draw(charts, curves):
    with pytest.raises(ValueError, match="no curve"):
        charts.draw_chart(curves)
