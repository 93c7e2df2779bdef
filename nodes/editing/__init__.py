"""Nodes that edit tokens: copy, set, blend, inspect and preset positions."""
