"""Workflow templates: made, noted, shortened and photographed."""
