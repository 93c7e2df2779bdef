"""Study nodes: which tokens carry a property, where they act, what they can do."""

from .importance.node import TokenImportance
from .influence import PixelInfluence
from .perturb.node import PerturbSearch

NODES = [TokenImportance, PixelInfluence, PerturbSearch]
