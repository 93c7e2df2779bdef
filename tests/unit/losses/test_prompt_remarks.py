"""What a user should know about a prompt before the run."""

from __future__ import annotations

import logging
import re

import pytest

from tokenopt_core import ClipLoss, WeightedSum

RED, BLUE = "a red circle on the left", "a blue square"


def test_unknown_words_and_cut_prompts_are_told_before_a_run(guide, caplog):
    loss = WeightedSum([(1.0, ClipLoss(guide, f"{RED} | zebra:-1 | {'red ' * 90}:0.1"))] * 2)
    with caplog.at_level(logging.WARNING):
        lines = loss.remarks()
    assert len(lines) == 2
    assert "its end is ignored" in lines[0]
    assert 'does not know "zebra"' in lines[1]
    assert not caplog.records


@pytest.mark.parametrize(
    ("prompt", "negative", "message"),
    [
        ("dark:-1", None, "'dark' only says what to avoid"),
        ("dark:-1 | bright:0", None, "'dark | bright' only says what to avoid"),
        ("dark:0", None, "has only weights of 0, so it changes nothing"),
        ("a (red:1.3) circle", None, r"has \(red:1.3\): brackets do not weight words here"),
        ("a circle at 12:30", None, "'a circle at 12' has the weight 30, .* write :1 behind"),
        ("a 16:9 | picture in 16:9", None, "'picture in 16' has the weight 9,"),
        ("at 12:01@0-0.5 | red", None, "'at 12' has the weight 1,"),
        ("year: 1000", None, "'year' has the weight 1000,"),
        (f"{RED} | dark:-30", None, "'dark' has the weight -30,"),
        (RED, "dark:0.4", "negative prompt 'dark:0.4' is read as plain text"),
        (RED, "dark | bright", "is read as plain text"),
    ],
)
def test_what_is_seldom_meant(guide, prompt, negative, message):
    assert re.search(message, "\n".join(ClipLoss(guide, prompt, negative).remarks()))


def test_colons_of_a_text_that_is_written_so(guide):
    loss = ClipLoss(guide, "a red circle at 12:30:1 | 3 blue squares:-0.4 | the 16:9 format")
    assert [part.text for part in loss.prompts[0]][0] == "a red circle at 12:30"
    assert not [line for line in loss.remarks() if "has the weight" in line]


def test_ordinary_prompts_and_functions_have_none(guide):
    assert ClipLoss(guide, f"{RED}:1 | {BLUE}:-0.4", "dark").remarks() == []
    assert WeightedSum([(1.0, lambda images: images.mean((1, 2, 3)))]).remarks() == []
