"""The front end in a real browser, at the server of the session.

def test_it(frontend):
    frontend.load_template("text_edit"); frontend.queue(); frontend.wait_until_idle()
    assert frontend.errors == []
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devtools.frontend import FrontEnd
from devtools.server import ComfyServer


@pytest.fixture(scope="module")
def frontend(server: ComfyServer) -> Iterator[FrontEnd]:
    with FrontEnd(server.url) as opened:
        yield opened
