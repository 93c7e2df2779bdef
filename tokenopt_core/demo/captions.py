"""Captions of the demo world, in a small fixed grammar.

A caption names the attributes in one order; training leaves some out and uses synonyms, so that a
short prompt such as "a green star" works too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping

from .world import ATTRIBUTES, Attributes

# What a caption says for each value, the canonical word first.
_PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "circle": ("circle", "disc"),
        "ring": ("ring", "donut"),
        "moon": ("moon", "crescent"),
        "cross": ("cross", "plus"),
    },
    "colour": {"purple": ("purple", "violet"), "cyan": ("cyan", "turquoise")},
    "size": {"small": ("small", "little"), "large": ("large", "big")},
    "position": {
        "left": ("on the left",),
        "middle": ("in the middle", "in the center", "in the centre"),
        "right": ("on the right",),
    },
    "background": {"gray": ("gray", "grey"), "sky": ("sky", "sky blue")},
    "light": {"bright": ("bright", "bright light"), "dark": ("dark", "dark light", "night")},
    "focus": {"sharp": ("sharp", "in focus"), "blurred": ("blurred", "blurry", "out of focus")},
}
_LAST_ARTICLE = re.compile(r"\b(a)n?(?= $)", re.IGNORECASE)
_OPENINGS = ("", "a photo of ", "a picture of ", "an image of ")


def caption(attributes: Attributes) -> list[str]:
    """The full caption of each scene, such as "a large red star on the left, plain sky
    background, bright, sharp"."""
    return [compose(scene) for scene in attributes.names()]


def compose(scene: dict[str, str], keep: Collection[str] = tuple(ATTRIBUTES), rng=None) -> str:
    """A caption that names only the attributes in `keep`.

    Args:
        scene: attribute name -> value.
        rng: `random.Random` that picks synonyms and an opening; None gives the canonical words.
    """
    words = {name: _word(name, scene[name], rng) for name in keep}
    thing = [words[name] for name in ("size", "colour") if name in words]
    thing.append(words.get("shape", "shape"))
    opening = rng.choice(_OPENINGS) if rng else ""
    first = opening + _article(thing[0]) + " " + " ".join(thing)
    if "position" in words:
        first += " " + words["position"]
    parts = [first]
    if "background" in words or "pattern" in words:
        parts.append(" ".join(words[n] for n in ("pattern", "background") if n in words))
        parts[-1] += " background"
    parts += [words[name] for name in ("light", "focus") if name in words]
    return ", ".join(parts)


def mentioned(text: str) -> dict[str, str]:
    """The attributes that a text names, in any of their words: attribute -> value.

    "sky blue" is a sky, not a blue object; of two values of one attribute the first counts.
    """
    return {name: value for _, _, name, value in sorted(_matches(text), reverse=True)}


def reworded(text: str, scene: Mapping[str, str]) -> str:
    """The text with the values that `scene` has for attributes that it names, otherwise as it is:
    of "a violet ring" and a blue circle "a blue circle"."""
    for start, end, name, value in sorted(_matches(text), reverse=True):
        if scene.get(name, value) != value:
            word = _word(name, scene[name], None)
            article = _article(word).removeprefix("a")
            before = _LAST_ARTICLE.sub(rf"\1{article}", text[:start])
            text = before + word + text[end:]
    return text


def _matches(text: str) -> list[tuple[int, int, str, str]]:
    """Where attributes are named: start, end, attribute, value."""
    words = [
        (phrase.removeprefix("on the ").removeprefix("in the "), name, value)
        for name, values in ATTRIBUTES.items()
        for value in values
        for phrase in (value, *_PHRASES.get(name, {}).get(value, ()))
    ]
    words.sort(key=lambda word: -len(word[0]))  # the longest first: it may hold a shorter one
    matches = []
    for phrase, name, value in words:
        place = r"(?:\b[oi]n the )?" if name == "position" else ""
        pattern = re.compile(rf"{place}\b{re.escape(phrase)}\b", re.IGNORECASE)
        matches += [(*match.span(), name, value) for match in pattern.finditer(text)]
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return matches


def vocabulary() -> list[str]:
    """Every word and sign that a caption can hold, sorted."""
    texts = [*_OPENINGS, "a an shape background , ."]
    for name, values in ATTRIBUTES.items():
        for value in values:
            texts += _PHRASES.get(name, {}).get(value, (value,))
    return sorted({word for text in texts for word in text.split()})


def _word(name: str, value: str, rng: random.Random | None) -> str:
    options = _PHRASES.get(name, {}).get(value, (value,))
    return options[0] if rng is None or rng.random() < 0.7 else rng.choice(options)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
