"""The page docs/science/attributes.md and its image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tokenopt_core import Tokenizer
from training.evaluate import checksums

from .. import images, markdown, scenes
from ..stats import percent_text, share_text
from . import trials

SHOWN = 2  # scenes of each change in the picture
STRENGTHS = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0)

HEAD = """# Attributes learnt from examples, measured

Written by `python -m benchmarks.attributes`; do not edit.

An attribute is the mean token of scenes that have a property minus the mean token of scenes that
have not (`tokenopt_core/tokens/attributes.py`; the nodes Attribute Vector and Apply Attribute). It
is learnt from 32 scenes with and 32 *other* scenes without the property, and added to fresh scenes
whose reconstruction the judge reads without an error. *Changed*: the judge sees the new value, with
Wilson's 95 % interval. *Kept*: mean share of the seven other attributes that it reads as before,
± half a 95 % interval. Nothing was tuned for these scenes.
"""
WHERE = """## All positions, or the four that tell the sets apart best

In each cell: changed, % / others kept, %."""
EXAMPLES = """## How many examples

At all positions with strength 1. *The same scenes*: each scene is in both sets, with the property
and without; *others*: the two sets have no scene in common."""
PICTURE = """## Seen

The first {shown} scenes of each change, not chosen, at all positions. From left to right:
strength {strengths}; 0 is the reconstruction.

![Attributes at several strengths](attributes.png)"""


def write(table: Sequence, examples: Sequence, minutes: float, folder: Path) -> str:
    """Writes attributes.md; returns a line about it.

    Args:
        table: (change, setting, outcome) each.
        examples: (change, whether the same scenes, number, outcome) each.
    """
    weights = checksums()["tokenizer/model.safetensors"][:10]
    facts = (
        f"N = {min(len(o.changed) for _, _, o in table)} or more scenes a cell; weights {weights}; "
    )
    sections = [HEAD + "\n" + facts + f"{minutes:.0f} minutes.", WHERE, _table(table)]
    if examples:
        sections += [EXAMPLES, _examples(examples)]
    strengths = ", ".join(f"{strength:g}" for strength in STRENGTHS)
    sections.append(PICTURE.format(shown=SHOWN, strengths=strengths))
    return markdown.write_page(folder / "attributes.md", sections)


def draw(tokenizer: Tokenizer, shown: Sequence, path: Path) -> None:
    """A line for each scene: as it is, then at several strengths.

    Args:
        shown: (change, attribute, features (b, n, d)) each.
    """
    settings = [trials.Setting(0, strength) for strength in STRENGTHS]
    rows = []
    for change, attribute, features in shown:
        for one in features.split(1):
            edited = torch.cat([trials.apply(attribute, one, setting) for setting in settings])
            decoded = scenes.decode(tokenizer, scenes.quantize(tokenizer, edited))
            rows.append((change.label.replace("→", "to"), images.strip(torch.cat(list(decoded)))))
    images.save(images.grid(rows, len(STRENGTHS)), path)


def _table(table: Sequence) -> str:
    settings = list(dict.fromkeys(setting for _, setting, _ in table))
    lines = []
    for change in dict.fromkeys(change for change, _, _ in table):
        outcomes = {setting: outcome for c, setting, outcome in table if c == change}
        number = str(len(outcomes[settings[0]].changed))
        lines.append((change.label, number, *(_cell(outcomes[setting]) for setting in settings)))
    return markdown.table(("change", "N", *(setting.label for setting in settings)), lines)


def _examples(examples: Sequence) -> str:
    counts = list(dict.fromkeys(count for _, _, count, _ in examples))
    lines = []
    for change, twins in dict.fromkeys((change, twins) for change, twins, _, _ in examples):
        outcomes = {n: outcome for c, t, n, outcome in examples if (c, t) == (change, twins)}
        label = f"{change.label}, {'the same scenes' if twins else 'others'}"
        lines.append((label, *(_cell(outcomes[count]) for count in counts)))
    return markdown.table(("change", *(f"{count} + {count}" for count in counts)), lines)


def _cell(outcome: scenes.Outcome) -> str:
    return f"{share_text(outcome.changed)} / {percent_text(outcome.kept)}"
