"""Fixtures of the tests of installing."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.release.archive import pack


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The registry's archive of the working tree."""
    return pack(tmp_path_factory.mktemp("archive") / "node.zip")
