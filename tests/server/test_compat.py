"""What newer versions of ComfyUI know about a node is said where it is understood, and only there.

Both kinds of ComfyUI are played by a schema of the installed one that has, or lacks, two fields.
"""

from __future__ import annotations

import pytest

from devtools.schemas import ask

# The words that people type, and what has to come up: the page of 0.3.75 looks at ids and names, a
# newer one at the search words too (NodeSearchService of the front ends 1.32.9 and 1.49.6).
SEARCHES = {
    "inpaint": (["EasyInpaint"], ["Optimize", "MaskedL1Loss", "MaskedComposite", "ClipLoss"]),
    "edit": (["EasyTextEdit"], ["Optimize", "Inspect", "Copy", "Set", "EasyInpaint"]),
    "text": (["EasyTextEdit", "TextToTokens", "TokensToText"], ["ClipLoss", "Optimize"]),
    "clip": (["LoadGuide", "ClipLoss"], ["ImagePromptLoss", "Judge", "EasyTextEdit"]),
    "morph": ([], ["Blend"]),
    "xy plot": ([], ["Sweep"]),
    "load model": ([], ["LoadTokenizer", "LoadGuide"]),
}
QUESTION = """
from dataclasses import dataclass, fields
import importlib

io = importlib.import_module(next(iter(pack.values())).__module__.rpartition(".")[0] + ".compat").io
whole = io.Schema

def play(names):
    own = [field for field in fields(whole) if field.name not in NEWER]
    space = {field.name: field for field in own} | dict.fromkeys(names)
    space["__annotations__"] = {name: object for name in space}
    io.Schema = dataclass(type("Schema", (), space))
    said = {name: node.define_schema() for name, node in pack.items()}
    return {
        name: {"name": schema.display_name, "advanced": [
            slot.id for slot in schema.inputs if slot.as_dict().get("advanced")
        ]} | {new: getattr(schema, new) for new in names} for name, schema in said.items()
    }

NEWER = ("search_aliases", "essentials_category")
answer = [play(()), play(NEWER)]
"""


@pytest.fixture(scope="module")
def schemas():
    """What the nodes say to an older and to a newer ComfyUI, by id without its prefix."""
    return [
        {node.removeprefix("TokenOpt_"): said for node, said in schemas.items()}
        for schemas in ask(QUESTION)
    ]


def test_an_older_comfyui_gets_the_same_nodes_without_what_it_does_not_know(schemas):
    older, newer = schemas
    assert list(older) == list(newer)
    for node, said in older.items():
        assert said == {key: newer[node][key] for key in said}
        assert not {"search_aliases", "essentials_category"} & set(said)
    essential = {node for node, said in newer.items() if said["essentials_category"]}
    assert essential == {"EasyTextEdit", "EasyInpaint"}


def test_every_node_has_search_words_that_its_name_does_not_say(schemas):
    for node, said in schemas[1].items():
        words = said["search_aliases"]
        assert all(word == word.lower().strip() for word in words), node
        assert len({word for word in words if word not in said["name"].lower()}) > 1, node


@pytest.mark.parametrize("newer", [False, True])
def test_people_find_the_nodes_by_what_they_want_to_do(schemas, newer):
    for word, (by_name, by_search_words) in SEARCHES.items():
        wanted = [*by_name, *by_search_words] if newer else by_name
        found = {
            node
            for node, said in schemas[newer].items()
            if word in " ".join([node, said["name"], *said.get("search_aliases", ())]).lower()
        }
        assert set(wanted) <= found, word


def test_rare_settings_are_advanced(schemas):
    assert "noise_scale" in schemas[1]["Optimize"]["advanced"]
    assert "steps" not in schemas[1]["Optimize"]["advanced"]
