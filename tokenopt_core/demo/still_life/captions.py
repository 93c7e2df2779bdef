"""Captions of the demo world, in a small fixed grammar.

A full caption names every attribute in one order, a short one only the thing itself; training
leaves out any of the others and uses synonyms.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection

from .world import ATTRIBUTES, Attributes

# What a caption says for each value, the canonical words first.
_PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "sphere": ("sphere", "ball"),
        "cube": ("cube", "block"),
        "cylinder": ("cylinder", "drum"),
        "ring": ("ring", "donut"),
        "capsule": ("capsule", "pill"),
    },
    "colour": {"teal": ("teal", "turquoise"), "purple": ("purple", "violet")},
    "material": {"matt": ("matt", "matte", "dull"), "shiny": ("shiny", "glossy")},
    "size": {"small": ("small", "little"), "large": ("large", "big")},
    "place": {
        "left": ("on the left",),
        "middle": ("in the middle", "in the center", "in the centre"),
        "right": ("on the right",),
    },
    "floor": {
        "sand": ("on sand", "on a beach"),
        "snow": ("on snow",),
        "tiles": ("on tiles", "on a tiled floor"),
        "planks": ("on planks", "on a wooden floor"),
    },
    "backdrop": {
        "clear": ("under a clear sky", "under a blue sky"),
        "clouds": ("under clouds", "under a cloudy sky"),
        "hills": ("before hills", "in front of hills"),
    },
    "light": {
        "day": ("in daylight", "by day"),
        "evening": ("in the evening", "at sunset"),
    },
    "focus": {"sharp": ("sharp", "in focus"), "blurred": ("blurred", "blurry", "out of focus")},
}
_OPENINGS = ("", "a photo of ", "a picture of ", "a render of ")
_THING = ("size", "material", "colour", "shape")
SHORT = ("colour", "shape")


def caption(attributes: Attributes, short: bool = False) -> list[str]:
    """A caption of each scene, such as "a small shiny green cube on the left, on sand, under
    clouds, in the evening, sharp", or in short "a green cube"."""
    return [compose(scene, SHORT if short else tuple(ATTRIBUTES)) for scene in attributes.names()]


def compose(scene: dict[str, str], keep: Collection[str] = tuple(ATTRIBUTES), rng=None) -> str:
    """A caption that names only the attributes in `keep`.

    Args:
        scene: attribute name -> value.
        rng: `random.Random` that picks synonyms and an opening; None gives the canonical words.
    """
    words = {name: _words(name, scene[name], rng) for name in keep}
    thing = [words.get(name, "thing" if name == "shape" else "") for name in _THING]
    thing = [word for word in thing if word]
    first = (rng.choice(_OPENINGS) if rng else "") + _article(thing[0]) + " " + " ".join(thing)
    if "place" in words:
        first += " " + words["place"]
    rest = [words[name] for name in ("floor", "backdrop", "light", "focus") if name in words]
    return ", ".join([first, *rest])


def mentioned(text: str) -> dict[str, str]:
    """The attributes that a text names, in any of their words: attribute -> value.

    "under a blue sky" is a clear sky, not a blue object; of two values of one attribute the first
    counts.
    """
    phrases = [
        (re.sub(r"^(on|in|under|by|before) (the |a )?", "", phrase), name, value)
        for name, values in ATTRIBUTES.items()
        for value in values
        for phrase in (value, *_PHRASES.get(name, {}).get(value, ()))
    ]
    phrases.sort(key=lambda phrase: -len(phrase[0]))  # the longest first: it may hold a shorter one
    rest, matches = text.lower(), []
    for phrase, name, value in phrases:
        for match in re.finditer(rf"\b{re.escape(phrase)}\b", rest):
            matches.append((match.start(), name, value))
        rest = re.sub(rf"\b{re.escape(phrase)}\b", lambda match: " " * len(match[0]), rest)
    return {name: value for _, name, value in sorted(matches, reverse=True)}


def vocabulary() -> list[str]:
    """Every word and sign that a caption can hold, sorted."""
    texts = [*_OPENINGS, "a an thing , ."]
    for name, values in ATTRIBUTES.items():
        for value in values:
            texts += _PHRASES.get(name, {}).get(value, (value,))
    return sorted({word for text in texts for word in text.split()})


def _words(name: str, value: str, rng: random.Random | None) -> str:
    options = _PHRASES.get(name, {}).get(value, (value,))
    return options[0] if rng is None or rng.random() < 0.7 else rng.choice(options)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
