"""Prompts as users write them: lines for images, and words that a guide can read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ...tokenopt_core.checks import shown
from ...tokenopt_core.losses.prompts import looks_weighted, parse_prompt
from ..host.sockets import LoadedGuide

_NULL = "None"  # what ComfyUI makes of a JSON null before a node sees it


def prompt_lines(text: str, name: str = "prompt") -> tuple[str, ...]:
    """The lines of a prompt that have something in them, one at least.

    Raises:
        ValueError: there is none; `name` is the input's name in the message.
    """
    if text == _NULL:
        raise ValueError(f"{name} is null (None); describe what the image should show.")
    lines = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not lines:
        raise ValueError(f"{name} is empty; describe what the image should show.")
    return lines


def optional_text(text: str) -> str | None:
    """A text in one line; None where there is nothing."""
    return None if text == _NULL else " ".join(text.split()) or None


def optional_lines(text: str) -> tuple[str, ...]:
    """The lines of a prompt that may be left empty."""
    return prompt_lines(text) if optional_text(text) else ()


def for_images(lines: Sequence[str], batch: int, name: str = "prompt") -> tuple[str, ...]:
    """One prompt for all images, or one each. Several lines for one image are one prompt.

    Raises:
        ValueError: the number of lines fits neither, or a line ends where a part should go on.
    """
    if len(lines) in (1, batch):
        return tuple(lines)
    if batch > 1:
        raise ValueError(
            f"{name} has {len(lines)} lines for {batch} images; expected one line for all, or one "
            "line per image."
        )
    for line, following in pairwise(lines):
        if looks_weighted(line.split("|")[-1]) and not following.startswith("|"):
            raise ValueError(
                f"{name} goes on in a new line after the weight of {shown(line)}; put | between "
                "two parts, or optimize as many images as there are lines."
            )
    return (" ".join(lines),)


def readable_prompts(lines: Sequence[str]) -> tuple[str, ...]:
    """The prompts that the lines most probably are, while the number of images is not yet known.

    Raises:
        ValueError: they can be read neither one by one nor as a single prompt.
    """
    try:
        for line in lines:
            parse_prompt(line)
        return tuple(lines)
    except ValueError:
        if len(lines) == 1:
            raise
        joined = for_images(lines, 1)
        parse_prompt(joined[0])
        return joined


def check_words(guide: LoadedGuide, texts: Sequence[str], name: str = "prompt") -> None:
    """Raises ValueError if the guide can read no word at all of one of the texts."""
    for text in texts:
        if guide.module.knows_nothing_of(text):
            raise ValueError(
                f"{name} has {shown(text)}, of which guide {guide.name} knows no word; use other "
                "words."
            )
