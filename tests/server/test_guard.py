"""What the guard refuses, at every node: words that no menu has, tokens of another tokenizer, and a
tokenizer without the codes that the node varies."""

from __future__ import annotations

import pytest

from devtools.comfyui.checks import fails_with, node, succeed
from tests.server.neighbours import calls
from tests.server.test_bad_input import save_tiny

# Menus of files and models, whose nodes look for the name themselves.
FILES = {"file", "image", "model", "tokenizer"}
CODES = {"PixelInfluence", "PerturbSearch"}


@pytest.fixture
def refused(client, server, edit):
    """Calls every node with a tiny tokenizer, or only with its tokens, and gives the names of those
    that refuse with these words."""

    def names(words: str, *, tokenizer: bool = True, **details) -> set[str]:
        save_tiny(server, "guarded", **details)
        more = {
            "85": node("TokenOpt_LoadTokenizer", tokenizer="guarded"),
            "86": node("TokenOpt_Encode", tokenizer=["85", 0], image=["3", 0]),
        }
        given = {"TOKENOPT_TOKENS": ["86", 0]}
        given |= {"TOKENOPT_TOKENIZER": ["85", 0]} if tokenizer else {}
        made = calls(client, edit, "none", more=more, given=given)
        assert {call.error for call in made} <= {"", "ValueError"}, made
        return {call.node.removeprefix("TokenOpt_") for call in made if words in call.message}

    return names


def test_a_menu_takes_no_other_word(client, edit):
    made = [call for call in calls(client, edit, "COMBO", texts={"another": "x"}) if call.input]
    assert len(made) > 25
    assert all(call.error == "ValueError" and call.sound for call in made), made
    others = {call.input for call in made if "expected one of: " not in call.message}
    assert others == FILES


@pytest.mark.parametrize("word", ["stretched", "", "CROP"])
def test_a_menu_whose_word_comes_through_a_link(client, edit, word):
    edit["83"] = node("Hostile_Number", text=word, kind="str")
    edit["84"] = node("TokenOpt_FitImage", tokenizer=["1", 0], image=["3", 0], mode=["83", 0])
    edit["84"]["inputs"] |= {"position": 0.5, "fill": "edge", "around_mask": True, "margin": 50}
    edit["4"]["inputs"]["image"] = ["84", 0]
    fails_with(client, edit, f"mode is {word!r}; expected one of: crop, pad, stretch.")
    edit["83"]["inputs"]["text"] = "pad"
    succeed(client, edit)


def test_tokens_of_another_tokenizer_wherever_tokens_go(client, refused):
    infos = {n: i["input"] for n, i in client.object_info().items() if n.startswith("TokenOpt_")}
    taking = {n.removeprefix("TokenOpt_") for n, i in infos.items() if "TOKENOPT_TOKENS" in str(i)}
    assert len(taking) >= 15
    assert (
        refused("connect the same Load TiTok node to both", tokenizer=False, kind="vae") == taking
    )


def test_a_vae_wherever_codes_are_varied(refused):
    assert refused("is a VAE, which has no codes to vary", kind="vae") == CODES
