"""Every input and output of every node says what it is: also those that are added later."""

from __future__ import annotations

import re

import pytest

from devtools.pages.locales import inputs_of

NUMBERS = ("INT", "FLOAT")
# A number's explanation says what more of it does, or what it counts or chooses.
DIRECTIONS = re.compile(
    r"\b(more|less|fewer|larger|smaller|higher|lower|longer|wider|stronger|tamer|above|below)\b"
    r"|\b(chooses|seed for|how many|how far|0:|1:|0 is|image k)",
    re.IGNORECASE,
)
FEW = 4  # options that are all explained


@pytest.fixture(scope="module")
def nodes(server):
    found = server.client().object_info()
    return {name: said for name, said in found.items() if name.startswith("TokenOpt_")}


@pytest.fixture(scope="module")
def inputs(nodes):
    """(node and input, type, settings) of every input."""
    return [
        (f"{node}.{name}", kind, settings)
        for node, said in nodes.items()
        for name, (kind, settings) in inputs_of(said).items()
    ]


def test_every_node_and_slot_has_a_sentence(nodes, inputs):
    said = {where: settings.get("tooltip") for where, _, settings in inputs}
    for node, facts in nodes.items():
        said[node] = facts["description"]
        outputs = zip(facts["output_name"], facts["output_tooltips"] or (), strict=True)
        said |= {f"{node} > {name}": tooltip for name, tooltip in outputs}
    poor = {where: text for where, text in said.items() if not text or not _is_sentence(text)}
    assert not poor


def _is_sentence(text: str) -> bool:
    tidy = "  " not in text and text == text.strip()
    return tidy and len(text.split()) >= 5 and text.endswith(".")


def test_every_setting_tells_its_default(inputs):
    for where, kind, settings in inputs:
        default = settings.get("default")
        if kind == "STRING" and (settings.get("multiline") or not default):
            continue
        if default is not None and kind in (*NUMBERS, "BOOLEAN", "STRING", "COMBO"):
            shown = {True: "on", False: "off"}[default] if kind == "BOOLEAN" else default
            assert settings["tooltip"].endswith(f" Default: {shown}."), where


def test_every_number_tells_what_more_of_it_does(inputs):
    told = {where: settings["tooltip"] for where, kind, settings in inputs if kind in NUMBERS}
    assert not {where: text for where, text in told.items() if not DIRECTIONS.search(text)}


def test_every_switch_tells_what_off_means(inputs):
    told = {where: settings["tooltip"] for where, kind, settings in inputs if kind == "BOOLEAN"}
    assert not {where: text for where, text in told.items() if "Off: " not in text}


def test_a_choice_between_few_explains_each(inputs):
    for where, kind, settings in inputs:
        of_files = "file" in where or where.endswith(".model") or settings.get("image_upload")
        if kind == "COMBO" and not of_files and len(settings.get("options") or ()) <= FEW:
            for option in settings["options"]:
                assert option in settings["tooltip"], f"{where}: {option}"


def test_an_empty_text_is_explained(inputs):
    for where, kind, settings in inputs:
        if kind == "STRING" and settings.get("default") == "" and not settings.get("forceInput"):
            told = settings["tooltip"] + (settings.get("placeholder") or "")
            assert re.search(r"empty|not used while|paste|what the images", told, re.I), where
