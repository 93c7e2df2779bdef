"""Generator nodes: tokens of a class, without an image and without an optimization."""

from .load import LoadGenerator
from .node import Generate

NODES = [LoadGenerator, Generate]
