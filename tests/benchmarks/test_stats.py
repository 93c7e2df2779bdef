"""Intervals and differences against values known from the literature."""

import pytest

from benchmarks.stats import gap, mean, mean_text, share_text, wilson


def test_wilson_of_the_textbook():
    # Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_stays_within_0_and_1():
    assert wilson(0, 1)[0] == 0
    assert wilson(7, 7)[1] == 1


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_refuses_impossible_counts(hits, n):
    with pytest.raises(ValueError, match="expected 0 to n hits"):
        wilson(hits, n)


def flags(both: int, first: int, second: int, neither: int):
    """Two rows of flags with these counts in the four cells."""
    cells = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return [a for a, _ in cells], [b for _, b in cells]


def test_gap_covers_the_difference_and_agreement_narrows_it():
    together = gap(*flags(both=30, first=20, second=0, neither=50))
    apart = gap(*flags(both=10, first=40, second=20, neither=30))
    for size, low, high in (together, apart):
        assert size == pytest.approx(0.2)
        assert low < size < high
    assert together[2] - together[1] < 0.75 * (apart[2] - apart[1])


def test_gap_of_independent_rows_is_that_of_two_wilson_intervals():
    first, second = flags(both=25, first=25, second=25, neither=25)  # correlation 0
    low, high = wilson(50, 100)
    half = (2 * (high - 0.5) ** 2) ** 0.5
    assert gap(first, second) == pytest.approx((0.0, -half, half), abs=1e-9)


def test_gap_turns_its_sign_with_the_rows():
    first, second = flags(both=4, first=9, second=1, neither=6)
    size, low, high = gap(first, second)
    assert gap(second, first) == pytest.approx((-size, -high, -low))


def test_gap_refuses_rows_of_different_cases():
    with pytest.raises(ValueError, match="2 and 1 cases"):
        gap([True, False], [True])


def test_mean_and_half_interval():
    assert mean([3.0]) == (3.0, 0.0)
    average, half = mean([1.0, 2.0, 3.0, 4.0])
    assert average == 2.5
    assert half == pytest.approx(1.959964 * (5 / 3) ** 0.5 / 2)


def test_texts():
    assert share_text([True] * 81 + [False] * 182) == "31 [26, 37]"
    assert mean_text([1.0, 2.0, 3.0, 4.0], 1) == "2.5 ± 1.3"
