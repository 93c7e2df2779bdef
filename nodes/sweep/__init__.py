"""Sweep: several values of one or two settings, run one after the other."""

from .node import Sweep

NODES = [Sweep]
