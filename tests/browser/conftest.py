"""The front end in a real browser, at the server of the session.

def test_it(frontend):
    frontend.load_template("text_edit"); frontend.queue(); frontend.wait_until_idle()
    assert frontend.errors == []

There is one browser for all modules, which takes longer to start than a page; each has the page
anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from devtools.comfyui.frontend import FrontEnd
from devtools.comfyui.server import ComfyServer

_browser = ExitStack()  # closed after the last test of this folder: others start loops of their own
_pages: list[FrontEnd] = []


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _pages.clear()
        _browser.close()


@pytest.fixture(scope="session")
def page_at() -> Callable[[str], FrontEnd]:
    """Opens the browser's page anew at a server."""

    def opened(url: str) -> FrontEnd:
        if _pages:
            _pages[0].visit(url)
        else:
            _pages.append(_browser.enter_context(FrontEnd(url)))
        return _pages[0]

    return opened


@pytest.fixture(scope="module")
def frontend(server: ComfyServer, page_at: Callable[[str], FrontEnd]) -> FrontEnd:
    return page_at(server.url)
