"""Numbers, tables and cut texts of the reports."""

from __future__ import annotations

import math

import pytest


@pytest.fixture(scope="module")
def words(report):
    return report("words")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.500"),
        (-3, "-3.000"),
        (0.0, "0.000"),
        (0.004, "4.00e-03"),
        (99999, "99999.000"),
        (119000, "1.19e+05"),
        (math.nan, "nan"),
        (None, ""),
    ],
)
def test_a_number_of_any_size(words, value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.5, 0.5, "0.5"),
        (0.5, 0.25, "0.50"),
        (0, 0.005, "0.000"),
        (1500, 500, "1500"),
        (7.5, 2.5, "7.5"),
        (1.5e-5, 5e-6, "1.5e-05"),
        (0.900001, 1e-6, "0.900001"),
        (2e6, 1e6, "2.0e+06"),
    ],
)
def test_a_tick_has_the_decimals_of_its_step(words, value, step, text):
    assert words.tick_number(value, step) == text


def test_counts_means_and_labels(words):
    assert [words.counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert words.short_number(0.0123) == "0.012"
    assert words.percent(0.396) == "40 %"
    assert words.mean([1, None, 2]) == "1.5"
    assert words.mean([None]) == "not a number"


@pytest.mark.parametrize(
    ("text", "kept"),
    [("short", "short"), ("exactly 10", "exactly 10"), ("a longer text", "a longe..."),
     ("spaces       end", "spaces...")],
)  # fmt: skip
def test_a_text_is_cut_to_its_width(words, text, kept):
    assert words.cut(text, 10) == kept
    assert len(kept) <= 10


def test_a_text_is_cut_by_its_length_in_a_font(words):
    def length(text: str) -> int:
        return len(text) + text.count("m")  # a letter twice as wide

    assert words.cut("iiiiiiii" + "m" * 100, 20, length) == "iiiiiiiimmmm..."
    assert words.cut("abc", 1) == "..."
    assert words.cut("abc", 10, always=True) == "abc..."


def test_lines_are_as_long_as_fits(words):
    assert words.wrapped("one two three four", 9, len, 3) == ["one two", "three", "four"]
    assert words.wrapped("one two three four", 9, len, 2) == ["one two", "three..."]
    assert words.wrapped("immeasurable", 9, len, 3) == ["immeas..."]
    assert words.wrapped("", 9, len, 3) == []


def test_plain_tables(words):
    rows = [["image", "CLIP"], ["1", "0.5"], ["12", ""]]
    assert words.plain_table(rows) == "image  CLIP\n1      0.5\n12"
    assert words.plain_table(rows, right=True) == "image  CLIP\n    1   0.5\n   12"


def test_markdown_tables(words):
    rows = [["lr", "loss"], ["a|b", "1"]]
    assert words.markdown_table(rows) == "| lr   | loss |\n|------|------|\n| a\\|b | 1    |"
    head, rule, row = words.markdown_table(rows, right=True).splitlines()
    assert (head, rule, row) == ("|   lr | loss |", "|-----:|-----:|", "| a\\|b |    1 |")
