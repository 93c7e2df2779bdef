"""Editing nodes: copy, set, blend and inspect tokens, and positions by property."""

from .blend import Blend
from .copy_and_set import Copy, SetCodes
from .inspect import Inspect
from .preset import PositionPreset

NODES = [Copy, PositionPreset, Inspect, Blend, SetCodes]
