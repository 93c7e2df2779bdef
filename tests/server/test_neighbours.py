"""Every input of every node is given what another pack, or JSON, might hand over.

Some thousand calls are made in all; here a part of them, spread evenly. TOKENOPT_EVERY=1 makes all:

    TOKENOPT_EVERY=1 python dev.py test tests/server/test_neighbours.py
"""

from __future__ import annotations

import os

import pytest

from tests.server.neighbours import Call, calls

EVERY = int(os.environ.get("TOKENOPT_EVERY", "0"))
# What fails with sound inputs too, because they are not there: files, a text of codes, a folder.
MISSING = {"LoadAttribute", "LoadTokens", "SavedImageTokens", "TextToTokens", "Importance"}
KINDS = [
    ("TOKENOPT_TOKENIZER,TOKENOPT_GUIDE,TOKENOPT_ATTRIBUTE,TOKENOPT_FIT,TOKENOPT_OPTIONS", 3),
    ("TOKENOPT_CAPTION,TOKENOPT_CAPTION_ENCODER", 2),
    ("IMAGE", 5),
    ("MASK", 5),
    ("TOKENOPT_TOKENS", 7),
    ("TOKENOPT_LOSS", 4),
    ("INT,FLOAT", 9),
    ("BOOLEAN", 3),
    ("STRING", 7),
    ("COMBO", 8),
]


@pytest.mark.parametrize(("kinds", "every"), KINDS, ids=[kinds.split(",")[0] for kinds, _ in KINDS])
def test_a_right_result_or_one_sentence(client, edit, kinds, every):
    made = calls(client, edit, kinds, EVERY or every)
    assert len(made) > 20
    wrong = [call for call in made if not call.sound and not _foreign(call)]
    assert not wrong, "\n".join(map(str, wrong[:20]))


def test_the_calls_are_sound_before_they_are_spoilt(client, edit):
    """What a test spoils must be what fails."""
    made = calls(client, edit, "none")
    assert len(made) > 35
    failed = {call.node.removeprefix("TokenOpt_") for call in made if call.error}
    assert failed <= MISSING, "\n".join(str(call) for call in made if call.error)


def _foreign(call: Call) -> bool:
    """A loss's own error is passed on as it is; and what a node lacks anyway is no verdict."""
    own = call.error == "RuntimeError" and "neighbour's own" in call.message
    lacking = call.node.removeprefix("TokenOpt_") in MISSING and call.error == "ValueError"
    return own or lacking
