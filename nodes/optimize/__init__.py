"""Token Optimizer and its options: inputs, run and report."""

from .node import Optimize
from .options import OptimizeOptions

NODES = [Optimize, OptimizeOptions]
