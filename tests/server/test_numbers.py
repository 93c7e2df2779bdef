"""NaN, which slips through ComfyUI's limits of a widget, is refused by every node."""

from __future__ import annotations

import pytest

from devtools.checks import fails_with, node

# What fits a socket: [number, output] of `sources`.
FITTING = {
    "TOKENOPT_TOKENIZER": ["1", 0],
    "TOKENOPT_GUIDE": ["2", 0],
    "IMAGE": ["3", 0],
    "TOKENOPT_TOKENS": ["4", 0],
    "TOKENOPT_LOSS": ["5", 0],
    "MASK": ["80", 0],
    "TOKENOPT_ATTRIBUTE": ["81", 0],
}


def number_inputs(info: dict) -> list[str]:
    inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    return [name for name, (kind, *_) in inputs.items() if kind == "FLOAT"]


def node_with_defaults(name: str, info: dict) -> dict:
    """The node as a user drops it, with everything connected that fits."""
    given = {}
    for key, (kind, *options) in info["input"].get("required", {}).items():
        default = kind[0] if isinstance(kind, list) else FITTING.get(kind, "")
        given[key] = options[0].get("default", default) if options else default
    for key, (kind, *_) in info["input"].get("optional", {}).items():
        if isinstance(kind, str) and kind in FITTING:
            given[key] = FITTING[kind]
    return node(name, **given)


@pytest.fixture
def sources(workflow):
    """What FITTING names: nodes 1 to 5 are those of the shipped text edit."""
    edit = workflow("text_edit")
    return {
        **{number: edit[number] for number in "12345"},
        "80": node("SolidMask", value=0.5, width=64, height=64),
        "81": node(
            "TokenOpt_AttributeVector",
            tokenizer=["1", 0],
            tokens_with=["4", 0],
            tokens_without=["82", 0],
        ),
        "82": node("TokenOpt_RandomTokens", tokenizer=["1", 0], seed=0, batch_size=1, scale=1.0),
    }


def test_every_number_of_every_node(client, sources):
    infos = {n: i for n, i in client.object_info().items() if n.startswith("TokenOpt_")}
    cases = [(name, key) for name, info in infos.items() for key in number_inputs(info)]
    assert len(cases) >= 20
    for name, key in cases:
        tested = node_with_defaults(name, infos[name])
        tested["inputs"][key] = "nan"  # becomes a number in ComfyUI, as the NaN of JSON does
        digest = node("Hostile_Digest", value=["90", 0], nonce=0)
        fails_with(client, {**sources, "90": tested, "91": digest}, key, "nan", "expected")


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("TokenOpt_Blend", "steps", (0, 241)),
        ("TokenOpt_AttributeVector", "strongest", (-1, 4097)),
        ("TokenOpt_PixelInfluence", "samples", (0, 1025)),
        ("TokenOpt_PerturbSearch", "top_k", (0, 65)),
        ("TokenOpt_SeedRetrieval", "size", (0, 10**6)),
        ("TokenOpt_Importance", "best", (-1, 17)),
        ("TokenOpt_Importance", "effect_images", (0, 1025)),
    ],
)
def test_whole_numbers_through_a_link_keep_the_limits_of_the_widget(
    client, sources, name, key, values
):
    tested = node_with_defaults(name, client.object_info()[name])
    for value in values:
        linked = {**tested, "inputs": {**tested["inputs"], key: ["91", 0]}}
        graph = {**sources, "90": linked, "91": node("PrimitiveInt", value=value)}
        graph["92"] = node("PreviewAny", source=["90", 0])
        fails_with(client, graph, f"{key} is {value}, expected a number from")
