"""Verdicts of the demo judge on images that a prompt of the demo world asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from tokenopt_core.demo.judge import judge
from tokenopt_core.demo.world import ATTRIBUTES


@dataclass(frozen=True)
class Verdict:
    """What one image shows (attribute name -> value), and what a prompt wanted of it."""

    valid: bool
    seen: dict[str, str]
    wanted: dict[str, str]

    @property
    def missed(self) -> dict[str, str]:
        return {name: value for name, value in self.wanted.items() if self.seen[name] != value}

    @property
    def success(self) -> bool:
        return self.valid and not self.missed

    def __str__(self) -> str:
        what = ", ".join(f"{name} {value}" for name, value in self.seen.items())
        return what if self.valid else f"no valid scene (closest: {what})"


def wanted_by(prompt: str) -> dict[str, str]:
    """The attributes that a prompt names, in the demo world's own words."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    return {
        name: value for name, values in ATTRIBUTES.items() for value in values if value in words
    }


def verdicts(images: Sequence[Image.Image], prompt: str = "") -> list[Verdict]:
    """One verdict for each image; without a prompt only validity counts."""
    arrays = [np.asarray(image.convert("RGB"), dtype=np.float32) / 255 for image in images]
    seen = judge(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))  # (n, 3, h, w)
    valid = (seen.valid > 0.5).tolist()
    wanted = wanted_by(prompt)
    return [Verdict(ok, names, wanted) for ok, names in zip(valid, seen.names(), strict=True)]
