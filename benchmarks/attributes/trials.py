"""Attributes learnt from scenes of the demo world, given to other scenes, and read by the judge.

Axes: b scenes, n tokens, d token size.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from tokenopt_core import Tokenizer
from tokenopt_core.demo import ATTRIBUTES, render, sample
from tokenopt_core.tokens.attributes import Attribute, add_attribute, attribute_vector

from ..scenes import GOOD_SHARE, Outcome, encode, judged, outcome, quantize

LEARNING_SEED, MEASURING_SEED = 490_000_000, 500_000_000  # no training draws from these
EXAMPLES = 32


class Change(NamedTuple):
    """An attribute that is to go from one value to another."""

    name: str
    before: str
    after: str

    @property
    def label(self) -> str:
        return f"{self.name}: {self.before} → {self.after}"


class Setting(NamedTuple):
    """How an attribute is used; `strongest` 0: at all positions."""

    strongest: int
    strength: float

    @property
    def label(self) -> str:
        where = f"{self.strongest} positions" if self.strongest else "all positions"
        return f"{where}, strength {self.strength:g}"


CHANGES = (
    Change("light", "bright", "dark"),
    Change("light", "dark", "bright"),
    Change("focus", "sharp", "blurred"),
    Change("focus", "blurred", "sharp"),
    Change("background", "sand", "navy"),
    Change("background", "sky", "olive"),
    Change("position", "left", "right"),
    Change("position", "middle", "left"),
    Change("size", "small", "large"),
    Change("colour", "red", "blue"),
    Change("pattern", "plain", "striped"),
    Change("shape", "circle", "star"),
)
SETTINGS = (Setting(0, 1.0), Setting(0, 1.5), Setting(4, 1.5))
FEW = (1, 8, 32)  # images in each set
FEW_CHANGES = (CHANGES[0], CHANGES[9])
FEW_SETTING = SETTINGS[0]


def learn(tokenizer: Tokenizer, change: Change, count: int, *, twins: bool) -> Attribute:
    """The attribute from `count` scenes with and as many without it.

    Args:
        twins: the same scenes twice, otherwise different ones.
    """
    sets = []
    for value, shift in ((change.after, 0), (change.before, 0 if twins else 1)):
        seed = LEARNING_SEED + shift
        drawn = sample(count, seed).replace(**{change.name: value})
        sets.append(encode(tokenizer, render(drawn, seed)))
    return attribute_vector(tokenizer, *sets, name="demo", names=(change.after, change.before))


def apply(attribute: Attribute, tokens: Tensor, setting: Setting) -> Tensor:
    """Features (b, n, d)."""
    chosen = attribute.strongest()[: setting.strongest] if setting.strongest else None
    return add_attribute(tokens, attribute, setting.strength, chosen)


def by_examples(
    tokenizer: Tokenizer, change: Change, most: int
) -> list[tuple[Change, bool, int, Outcome]]:
    """What fewer examples are worth, the same scenes twice and different ones."""
    scenes, features = well_reconstructed(tokenizer, change, most)
    rows = []
    for twins in (True, False):
        for count in FEW:
            attribute = learn(tokenizer, change, count, twins=twins)
            edited = apply(attribute, features, FEW_SETTING)
            rows.append((change, twins, count, outcome_of(tokenizer, change, scenes, edited)))
    return rows


def well_reconstructed(tokenizer: Tokenizer, change: Change, most: int) -> tuple[Tensor, Tensor]:
    """Attributes (b, 8) and features (b, n, d) of scenes with the value to change, of which the
    judge sees all eight attributes in the reconstruction."""
    drawn = sample(int(most / GOOD_SHARE), MEASURING_SEED).replace(**{change.name: change.before})
    features = encode(tokenizer, render(drawn, MEASURING_SEED))
    seen, valid = judged(tokenizer, quantize(tokenizer, features))
    good = ((seen == drawn.indices).all(1) & valid).nonzero().flatten()[:most]
    return drawn.indices[good], features[good]


def outcome_of(tokenizer: Tokenizer, change: Change, scenes: Tensor, features: Tensor) -> Outcome:
    """What the judge sees in edited `features` (b, n, d) of scenes with these attributes (b, 8)."""
    value = ATTRIBUTES[change.name].index(change.after)
    return outcome(tokenizer, quantize(tokenizer, features), change.name, value, scenes)
