"""Gradient descent on tokens: the loop, its settings and state, starts, and the run's record."""

from .config import OptimizeConfig
from .loop import optimize, render
from .record import RunRecorder
from .starts import best_of, random_codes, random_features, sample_features
from .state import RunState, Step

__all__ = [
    "OptimizeConfig",
    "RunRecorder",
    "RunState",
    "Step",
    "best_of",
    "optimize",
    "random_codes",
    "random_features",
    "render",
    "sample_features",
]
