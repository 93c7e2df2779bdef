"""What a run says in the log: when it speaks, and whether its estimate is honest."""

from __future__ import annotations

import importlib
import logging
import sys
import types
from pathlib import Path

import pytest

NODES = Path(__file__).parents[3] / "nodes"


@pytest.fixture(scope="module")
def run_log():
    """nodes/host/run_log.py alone: the package around it needs ComfyUI, the log does not."""
    package = types.ModuleType("log_files")
    package.__path__ = [str(NODES)]
    sys.modules["log_files"] = package
    yield importlib.import_module("log_files.host.run_log")
    for name in [name for name in sys.modules if name.startswith("log_files")]:
        del sys.modules[name]


@pytest.fixture
def said(run_log, caplog):
    """Lines of a loop whose step k takes `seconds_of(k)`, with the time at which each came."""

    def run(total: int, seconds_of, made: int | None = None, **limits) -> list[tuple[float, str]]:
        now, lines = 0.0, []
        time_left = run_log.TimeLeft(total, clock=lambda: now, **limits)
        with caplog.at_level(logging.INFO):
            for done in range(1, (made or total) + 1):
                now += seconds_of(done)
                caplog.clear()
                time_left.note(done)
                lines += [(now, record.getMessage()) for record in caplog.records]
        return lines

    return run


def test_it_speaks_early_then_ever_more_seldom(said):
    lines = said(1000, lambda step: 0.5)
    assert lines[0] == (3.5, "TokenOpt: step 7 of 1000, about 8 min left")
    assert [round(time) for time, _ in lines] == [4, 12, 48, 192]


def test_a_short_run_says_nothing(said):
    assert said(100, lambda step: 0.1) == []


def test_the_slow_first_step_does_not_count(said):
    (_, first), *_ = said(100, lambda step: 60.0 if step == 1 else 1.0)
    assert first == "TokenOpt: step 4 of 100, about 2 min left"


def test_a_machine_that_gets_slower_is_noticed(said):
    lines = said(60, lambda step: 1.0 if step < 6 else 4.0)
    assert lines[0][1].endswith("step 4 of 60, about 56 s left")
    assert lines[1][1].endswith("step 7 of 60, about 3 min left")


@pytest.mark.parametrize(
    ("limits", "told"),
    [({"may_end": True}, "at most about 46 s left"), ({"seconds": 30}, "at most about 27 s left")],
)
def test_a_run_that_may_end_early_has_an_upper_bound(said, limits, told):
    assert said(50, lambda step: 1.0, **limits)[0][1].endswith(told)


def test_a_run_that_begins_anew_is_measured_anew(run_log, caplog):
    now = 0.0
    time_left = run_log.TimeLeft(100, clock=lambda: now)
    with caplog.at_level(logging.INFO):
        for done, now in [(1, 1.0), (2, 2.0), (1, 50.0), (2, 51.0), (3, 52.0), (4, 53.0)]:  # noqa: B007
            time_left.note(done)
    assert [record.getMessage() for record in caplog.records] == [
        "TokenOpt: step 4 of 100, about 2 min left"
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(42.4, "42 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_times_are_told_as_people_do(run_log, seconds, words):
    assert run_log.in_words(seconds) == words
