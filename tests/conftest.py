"""Options and checks for the whole suite: a green run means that the groups that matter ran."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
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
    if session.config.option.collectonly:
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
