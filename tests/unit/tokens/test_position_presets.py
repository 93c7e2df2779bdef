"""Presets name positions of one tokenizer each, and say so when another is connected."""

from __future__ import annotations

import pytest

from tokenopt_core.tokenizers import known_tokenizers
from tokenopt_core.tokens.positions import PRESETS, PROPERTIES, preset_positions


def test_the_paper():
    """Positions of TiTok-L-32 in arXiv 2506.08257, section 3.1."""
    assert preset_positions("blur", "titok-l32") == (18,)
    assert preset_positions("lighting", "titok-l32") == (31,)
    assert preset_positions("sharpness", "titok-l32") == (12,)
    assert preset_positions("colourization", "titok-l32") == (12, 24, 27)
    assert preset_positions("pose", "titok-l32") == (21,)


def test_presets_are_of_known_tokenizers():
    assert set(PRESETS) <= set(known_tokenizers())
    assert all(name in PROPERTIES for known in PRESETS.values() for name in known)


def test_a_copy_on_disk_is_known_by_what_its_files_say():
    assert preset_positions("pose", "models of mine/titok-l32", "titok-l32") == (21,)


def test_not_for_this_tokenizer():
    with pytest.raises(ValueError, match=r"'pose', .*not known for .*'demo'; it has: lighting"):
        preset_positions("pose", "demo", "demo")
    with pytest.raises(ValueError, match=r"no positions are known for .*'titok-s128', only for ti"):
        preset_positions("blur", "titok-s128", "titok-s128")
