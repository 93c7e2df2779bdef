"""Numbers that come to a widget through a link: within its limits, whatever library they are of."""

from __future__ import annotations

import math

import pytest

from devtools.comfyui.checks import fails_with, node, record, succeed
from tests.server.conftest import CAPTION

LIMITS = (("min", -math.inf), ("max", math.inf))  # of a widget, and which way is out
# What fits a socket: [number, output] of `sources`.
FITTING = {
    "TOKENOPT_TOKENIZER": ["1", 0],
    "TOKENOPT_GUIDE": ["2", 0],
    "IMAGE": ["3", 0],
    "TOKENOPT_TOKENS": ["4", 0],
    "TOKENOPT_LOSS": ["5", 0],
    "MASK": ["80", 0],
    "TOKENOPT_ATTRIBUTE": ["81", 0],
    "TOKENOPT_FIT": ["83", 2],
}

# Enough for a node to do all that it does.
QUICK = {"steps": 2, "tries": 1, "crops": 1, "top_k": 2, "samples": 1, "trajectory_frames": 2}
QUICK |= {"best_of": 2, "effect_images": 1, "batch_size": 4}
OWN = {
    "TokenOpt_AttributeVector": {"tokens_without": ["82", 0]},
    "TokenOpt_Importance": {"prompts": "bright\ndark", "effect": "mean", "image": ["84", 0]},
    "TokenOpt_SeedRetrieval": {"prompts": "bright"},
}


def number_inputs(info: dict) -> dict[str, tuple[str, dict]]:
    """Name -> type and options of a node's number widgets."""
    inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    return {key: item for key, item in inputs.items() if item[0] in ("INT", "FLOAT")}


def outside(kind: str, options: dict) -> list[tuple[str, str]]:
    """Just outside of the widget's limits, as texts for Hostile_Number; a float may be NaN."""
    if kind == "INT":
        return [("int", str(options["min"] - 1)), ("int", str(options["max"] + 1))]
    least, most = (math.nextafter(options[end], to) for end, to in LIMITS)
    return [("float", str(least)), ("float", str(most)), ("float", "nan")]


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
    edit["5"]["inputs"] |= CAPTION
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
        "83": node(
            "TokenOpt_FitImage",
            tokenizer=["1", 0],
            image=["3", 0],
            mode="crop",
            position=0.5,
            fill="edge",
            around_mask=True,
            margin=50,
        ),
    }


def refused(client, sources, tested: dict, key: str, kind: str, text: str) -> None:
    """The node must refuse this number when it comes through a link."""
    linked = {**tested, "inputs": {**tested["inputs"], key: ["91", 0]}}
    number = node("Hostile_Number", text=text, kind=kind)
    digest = node("Hostile_Digest", value=["90", 0], nonce=0)
    graph = {**sources, "90": linked, "91": number, "92": digest}
    fails_with(client, graph, f"{key} is {text}, expected a ")


def test_every_number_of_every_node_keeps_its_limits_when_it_is_linked(client, sources):
    infos = {n: i for n, i in client.object_info().items() if n.startswith("TokenOpt_")}
    cases = [(n, key, *item) for n, i in infos.items() for key, item in number_inputs(i).items()]
    assert {"INT", "FLOAT"} <= {kind for _, _, kind, _ in cases}
    assert len(cases) >= 40
    for name, key, kind, options in cases:
        tested = node_with_defaults(name, infos[name])
        for number, text in outside(kind, options):
            refused(client, sources, tested, key, number, text)


@pytest.mark.parametrize(
    ("name", "key", "kind", "text"),
    [
        ("TokenOpt_RandomTokens", "batch_size", "float", "2.5"),
        ("TokenOpt_RandomTokens", "scale", "str", "much"),
        ("TokenOpt_Blend", "steps", "str", "4"),
    ],
)
def test_what_is_no_number_of_that_kind(client, sources, name, key, kind, text):
    tested = node_with_defaults(name, client.object_info()[name])
    refused(client, sources, tested, key, kind, text)


def test_typed_nan(client, sources):
    tested = node_with_defaults("TokenOpt_Blend", client.object_info()["TokenOpt_Blend"])
    tested["inputs"]["strength"] = "nan"  # becomes a number in ComfyUI, as the NaN of JSON does
    digest = node("Hostile_Digest", value=["90", 0], nonce=0)
    fails_with(client, {**sources, "90": tested, "91": digest}, "strength is nan")


def test_numbers_of_numpy_are_the_numbers_that_they_are_in_every_node(client, sources):
    """One that reaches JSON ends the server's process, and with it this test."""
    kinds = {"INT": "numpy.int64", "FLOAT": "numpy.float32", "BOOLEAN": "numpy.bool"}
    scenes = dict.fromkeys(sources["3"]["inputs"], "random") | {"seed": 1, "batch_size": 16}
    sources["84"] = node("TokenOpt_DemoScene", **scenes)
    infos = {n: i for n, i in client.object_info().items() if number_inputs(i)}
    tested = {n: i for n, i in infos.items() if n.startswith("TokenOpt_")}
    assert len(tested) >= 20
    for name, info in tested.items():
        linked, numbers = node_with_defaults(name, info), {}
        for group in info["input"].values():
            for key, (kind, *options) in group.items():
                if isinstance(kind, str) and kind in kinds:
                    text = str(QUICK.get(key, options[0]["default"]))
                    numbers[f"n{key}"] = node("Hostile_Number", text=text, kind=kinds[kind])
                    linked["inputs"][key] = [f"n{key}", 0]
        linked["inputs"].update(OWN.get(name, {}))
        digest = node("Hostile_Digest", value=["90", 0], nonce=0)
        succeed(client, {**sources, **numbers, "90": linked, "91": digest})


def test_a_number_of_numpy_is_in_the_record_as_it_is(client, edit):
    for key, kind, text in (
        ("lr", "numpy.float32", "0.25"),
        ("ema_decay", "Fraction", "1/2"),
        ("steps", "numpy.int64", "3"),
        ("seed", "numpy.uint64", str(2**64 - 1)),
    ):
        edit[f"n{key}"] = node("Hostile_Number", text=text, kind=kind)
        edit["6"]["inputs"][key] = [f"n{key}", 0]
    told = record(succeed(client, edit))
    config = told["config"]
    assert (config["lr"], config["ema_decay"], config["steps"]) == (0.25, 0.5, 3)
    assert told["seeds"] == [2**64 - 1]
