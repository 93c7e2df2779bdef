"""One wrong input of the attribute nodes gives one clear sentence."""

from __future__ import annotations

import pytest

from devtools.comfyui.checks import fails_with, node, succeed
from devtools.comfyui.client import PromptRefused
from tests.server.test_attributes import scenes
from tests.server.test_bad_input import save_tiny


@pytest.fixture
def graph():
    """1 tokenizer; 2 dark and 3 bright scenes, 4 and 5 their tokens; 6 attribute; 7 applied to
    the bright ones; 8 decoded, 9 shown."""
    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": scenes(seed=1, batch_size=3, light="dark"),
        "3": scenes(seed=1, batch_size=2, light="bright"),
        "4": node("TokenOpt_Encode", tokenizer=["1", 0], image=["2", 0]),
        "5": node("TokenOpt_Encode", tokenizer=["1", 0], image=["3", 0]),
        "6": node(
            "TokenOpt_AttributeVector",
            tokenizer=["1", 0],
            tokens_with=["4", 0],
            tokens_without=["5", 0],
        ),
        "7": node("TokenOpt_ApplyAttribute", tokens=["5", 0], attribute=["6", 0], strength=1.0),
        "8": node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["7", 0]),
        "9": node("PreviewImage", images=["8", 0]),
    }


@pytest.fixture
def other(server, graph):
    """Node 10: another tokenizer, a tiny VAE; node 11: tokens of it."""
    save_tiny(server, "other", kind="vae")
    graph["10"] = node("TokenOpt_LoadTokenizer", tokenizer="other")
    graph["11"] = node("TokenOpt_Encode", tokenizer=["10", 0], image=["2", 0])


def test_the_graph_is_sound(client, graph):
    """What the tests below change is what fails."""
    succeed(client, graph)


@pytest.mark.parametrize("which", ["tokens_with", "tokens_without"])
def test_sets_of_another_tokenizer(client, graph, other, which):
    graph["6"]["inputs"][which] = ["11", 0]
    fails_with(client, graph, which, "'other'", "'demo'", "same Load TiTok")


def test_attribute_of_another_tokenizer(client, graph, other):
    graph["7"]["inputs"]["tokens"] = ["11", 0]
    fails_with(client, graph, "attribute came from", "'other'", "'demo'", "same Load TiTok")


def test_a_vae_has_attributes_too(client, graph, other):
    """They need no codes."""
    graph["12"] = node("TokenOpt_Encode", tokenizer=["10", 0], image=["3", 0])
    graph["6"]["inputs"].update(
        tokenizer=["10", 0], tokens_with=["11", 0], tokens_without=["12", 0]
    )
    graph["7"]["inputs"]["tokens"] = ["12", 0]
    graph["8"]["inputs"]["tokenizer"] = ["10", 0]
    succeed(client, graph)


def test_equal_sets(client, graph):
    graph["6"]["inputs"]["tokens_with"] = ["5", 0]
    fails_with(client, graph, "tokens_with and tokens_without have the same mean")


@pytest.mark.parametrize("positions", ["", "3-", "99", "a"])
def test_positions_of_the_vector(client, graph, positions):
    graph["6"]["inputs"]["positions"] = positions
    fails_with(client, graph, "positions", repr(positions), "0 to 15")


@pytest.mark.parametrize("positions", ["3-", "16", "a"])
def test_positions_of_the_application(client, graph, positions):
    graph["7"]["inputs"]["positions"] = positions
    fails_with(client, graph, "positions", repr(positions), "0 to 15")


def test_strength_that_is_no_number(client, graph):
    """ComfyUI makes a float of it and finds it within the range."""
    graph["7"]["inputs"]["strength"] = "nan"
    fails_with(client, graph, "strength", "nan", "-100 to 100")


@pytest.mark.parametrize("strength", ["inf", "-inf", 1e30])
def test_strength_out_of_range(client, graph, strength):
    graph["7"]["inputs"]["strength"] = strength
    with pytest.raises(PromptRefused, match="value_(bigger|smaller)_than_m.*strength"):
        client.run(graph)


@pytest.mark.parametrize(
    ("strengths", "found"),
    [
        ("strong", "'strong'"),
        ("1, nan", "nan"),
        ("-inf", "-inf"),
        ("0, 1e9", "1e+09"),
        (", ;", "', ;'"),
        ("1 " * 65, "65 numbers"),
    ],
)
def test_strengths(client, graph, strengths, found):
    graph["7"]["inputs"]["strengths"] = strengths
    fails_with(client, graph, "strengths", found)


def test_a_preset_of_another_tokenizer(client, graph):
    graph["10"] = node("TokenOpt_PositionPreset", tokenizer=["1", 0], preset="pose")
    graph["7"]["inputs"]["positions"] = ["10", 0]
    fails_with(client, graph, "preset", "'pose'", "'demo'", "lighting")


def test_an_unknown_preset(client, graph):
    """ComfyUI 0.3.75 does not check the choices of V3 nodes, so the node does; later ones may."""
    graph["10"] = node("TokenOpt_PositionPreset", tokenizer=["1", 0], preset="nonsense")
    graph["7"]["inputs"]["positions"] = ["10", 0]
    try:
        message = client.run(graph).error["exception_message"]
    except PromptRefused as refused:
        (message,) = refused.messages
    assert "preset" in message
    assert "'nonsense'" in message


def test_a_tokenizer_without_presets(client, graph, other):
    graph["12"] = node("TokenOpt_PositionPreset", tokenizer=["10", 0], preset="lighting")
    graph["7"]["inputs"]["positions"] = ["12", 0]
    fails_with(client, graph, "preset", "'other'", "titok-l32 and demo", "Token Importance")
