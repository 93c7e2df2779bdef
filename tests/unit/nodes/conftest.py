"""The report room alone: the package around it needs ComfyUI, its modules do not."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NODES = Path(__file__).parents[3] / "nodes"


@pytest.fixture(scope="session")
def report() -> Iterator[Callable[[str], types.ModuleType]]:
    """Gives a module of nodes/report by its name."""
    package = types.ModuleType("report_alone")
    package.__path__ = [str(NODES)]
    sys.modules["report_alone"] = package
    yield lambda name: importlib.import_module(f"report_alone.report.{name}")
    for name in [name for name in sys.modules if name.startswith("report_alone")]:
        del sys.modules[name]
