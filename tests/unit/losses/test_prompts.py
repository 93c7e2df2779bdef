"""Prompts as people type them: weights, schedules, and the slips that deserve a sentence."""

from __future__ import annotations

import pytest

from tokenopt_core.losses.prompts import WeightedText, parse_prompt


def parsed(text):
    return [(part.text, part.weight, part.start, part.end) for part in parse_prompt(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red fox", [("a red fox", 1, 0, 1)]),
        ("a red fox:1.0 | blurry:-0.4", [("a red fox", 1, 0, 1), ("blurry", -0.4, 0, 1)]),
        ("a | b:2|c : +.5 ", [("a", 1, 0, 1), ("b", 2, 0, 1), ("c", 0.5, 0, 1)]),
        ("blurry:-1", [("blurry", -1, 0, 1)]),
        ("a:0 | b:1e-2", [("a", 0, 0, 1), ("b", 0.01, 0, 1)]),
        ("a:1@0-0.5 | b:1@.5-1", [("a", 1, 0, 0.5), ("b", 1, 0.5, 1)]),
        ("a : 2 @ 0.25 - 0.75 ", [("a", 2, 0.25, 0.75)]),
        ("two\nlines:2", [("two\nlines", 2, 0, 1)]),
    ],
)
def test_parts_weights_and_ranges(text, expected):
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "time 12:30 clock",
        "a sign: stop",
        "a fox:",
        "ratio 3:4:5:",
        "me@home",
        "a: b@2",
        "(a fox:1.2)",
        "bread:naan",
    ],
)
def test_a_colon_without_a_number_behind_it_belongs_to_the_text(text):
    assert parsed(text) == [(text, 1, 0, 1)]


def test_only_the_last_number_is_a_weight():
    assert parsed("a clock at 12:30:1") == [("a clock at 12:30", 1, 0, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "prompt is '': expected a text"),
        (" \n", "expected a text"),
        (None, "prompt is None: expected a text"),
        ("a | | b", "'a | | b' has a part without text"),
        ("a |", "has a part without text"),
        ("| a", "has a part without text"),
        ("|", "has a part without text"),
        (":1", "has a part without text"),
        ("a | :-0.4", "has a part without text"),
        ("a:nan", "'a' has the weight nan: expected a number from -1000 to 1000"),
        ("picture of year: 2024", "has the weight 2024: .* write :1 behind the number"),
        ("a:-inf", "has the weight -inf"),
        ("a:1e999", "has the weight inf"),
        ("a:1000.5", r"has the weight 1000\.5"),
        ("a | b:-5000", "'b' has the weight -5000"),
        ("a:0,5", "has a weight with a comma: write a point"),
        ("a:0,5@0-1", "has a weight with a comma"),
        ("a@0-0.5", "'a@0-0.5' has a range but no weight: write both"),
        ("a:@0-0.5", "has a range but no weight"),
        ("a:1@", "has the range '': expected two shares"),
        ("a:1@0.5", "has the range '0.5': expected two shares"),
        ("a:1@half", "has the range 'half': expected two shares"),
        ("a:1@-0.1-0.5", "expected two shares"),
        ("a:1@0.8-0.2", "'a' counts from 0.8 to 0.2: .* the smaller one first"),
        ("a:1@0.5-0.5", "counts from 0.5 to 0.5"),
        ("a:1@0-50", "counts from 0 to 50: expected two shares of the run from 0 to 1"),
    ],
)
def test_slips_get_one_sentence(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_prompt(text)
    assert "\n" not in str(caught.value).replace(str(text), "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": " "}, "the text ' ': expected some words"),
        ({"text": None}, "the text None"),
        ({"text": "a", "weight": float("nan")}, "weight nan"),
        ({"text": "a", "start": float("nan")}, "counts from nan"),
        ({"text": "a", "start": 0.5, "end": 0.1}, "counts from 0.5 to 0.1"),
    ],
)
def test_parts_made_in_python_are_checked_too(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightedText(**arguments)


def test_ranges_that_meet_never_count_together_and_the_last_step_counts():
    first, second = parse_prompt("a:2@0-0.5 | b:-3@0.5-1")
    weights = [(first.weight_at(p), second.weight_at(p)) for p in (0, 0.49, 0.5, 0.99, 1)]
    assert weights == [(2, 0), (2, 0), (0, -3), (0, -3), (0, -3)]
    assert parse_prompt("a:1@0.2-0.4")[0].weight_at(1) == 0
