"""Fixtures for tests against a real ComfyUI, and the check that the groups that matter did run.

The server is started once a session (about 10 s), when a test first asks for it:

def test_it(client, workflow):
    run = client.run(workflow("text_edit"))              # posts, follows, waits for the end
    assert run.status == "success", run.error            # or "error", "interrupted"
    run.executed, run.cached                             # node numbers, as strings
    run.progress("5"), run.previews                      # [(value, max)], events with .image (PIL)
    run.outputs["5"]["tokenopt"], client.images(run, "8")   # ui output; PIL images of SaveImage
    client.run(graph, on_event=lambda event: client.interrupt())
    with pytest.raises(PromptRefused) as refused: client.run(bad)   # refused.value.messages
    client.upload(pil_image, "name.png"); client.free(); server.log_text()

    browser tests also have `frontend`, see tests/browser/conftest.py
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.comfyui.client import Client, Graph
from devtools.comfyui.layout import DEV, ROOT, make_base
from devtools.comfyui.server import ComfyServer

WORKFLOWS = ROOT / "workflows" / "api"
PACKS = [ROOT / "tests" / "server" / name for name in ("hostile_pack", "warm_loss")]
PACKS += [ROOT / "benchmarks" / "speed" / "pack"]
if os.environ.get("TOKENOPT_PRETEND_DEVICE"):  # the whole of tests/server as if on a GPU
    PACKS += [ROOT / "tests" / "server" / "pretended_pack"]

pytest.register_assert_rewrite("devtools.comfyui.checks")

executed: Counter[str] = Counter()
skipped: dict[str, list[str]] = {}
problems: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="GROUPS",
        help="comma-separated folders of tests/ whose tests must have run, unskipped; "
        "`python dev.py test` asks for server,parity,browser",
    )


def _group(nodeid: str) -> str:
    return Path(nodeid.split("::")[0]).parts[1] if nodeid.count("/") > 1 else ""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    group = _group(report.nodeid)
    if report.skipped and "opt_in" not in report.keywords:
        skipped.setdefault(group, []).append(report.nodeid)
    elif report.when == "call" and not report.skipped:
        executed[group] += 1


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    # A worker of pytest-xdist has run a part only; all of it is counted where they are started.
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    for group in filter(None, session.config.getoption("--require").split(",")):
        if not executed[group]:
            problems.append(f"required group '{group}' executed no test")
        problems.extend(f"required test was skipped: {name}" for name in skipped.get(group, []))
    if problems and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for problem in problems:
        terminalreporter.write_line(f"FAILED {problem}", red=True)


@pytest.fixture(scope="session")
def server() -> Iterator[ComfyServer]:
    """A server on a free port, with a base folder in .dev/ and a log of the same name.

    Two test sessions at the same time must not share the folder: the environment variable
    TOKENOPT_TEST_BASE gives the second one another name than test-base. Each of pytest-xdist's
    workers has a server of its own.
    """
    name = os.environ.get("TOKENOPT_TEST_BASE") or "test-base"
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = make_base(DEV / (f"{name}-{worker}" if worker else name), *PACKS)
    # A user's own caption encoder: the text half of the demo guide.
    encoder = base / "models" / "titok_guides" / "captions"
    shutil.copytree(ROOT / "tokenopt_core" / "demo" / "clip", encoder, dirs_exist_ok=True)
    with ComfyServer(base, log=DEV / "logs" / f"{base.name}.log") as running:
        yield running


@pytest.fixture(autouse=True)
def queue_is_left_empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """Takes away what a test leaves in the server's queue, where all later ones would wait for it,
    and fails that test."""
    yield
    if "server" in request.fixturenames:
        left = request.getfixturevalue("server").client().empty_queue()
        assert not left, f"the test left prompts in the server's queue: {left}"


@pytest.fixture
def client(server: ComfyServer) -> Client:
    """A front end of its own for each test (they share the server's cache)."""
    return server.client()


@pytest.fixture
def workflow() -> Callable[[str], Graph]:
    """Name of a shipped workflow -> its graph in API format, a copy to change at will."""

    def load(name: str) -> Graph:
        return json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))

    return load
