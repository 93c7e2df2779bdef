"""Workflow templates: files, notes, short versions and screenshots."""
