"""Attribute nodes: properties as directions of tokens, learnt, applied, saved and loaded."""

from .apply import ApplyAttribute
from .files import LoadAttribute, SaveAttribute
from .vector import AttributeVector

NODES = [AttributeVector, ApplyAttribute, SaveAttribute, LoadAttribute]
