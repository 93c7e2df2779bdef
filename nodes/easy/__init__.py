"""Easy nodes: a whole edit in one node."""

from .inpaint import EasyInpaint
from .text_edit import EasyTextEdit

NODES = [EasyTextEdit, EasyInpaint]
