"""Guide nodes: Judge and Seed Retrieval, which compare images with texts."""

from .judge import Judge
from .retrieval import SeedRetrieval

NODES = [Judge, SeedRetrieval]
