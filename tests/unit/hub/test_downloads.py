"""Downloads from a hub that is slow, busy, broken, forbidden; killed, twice at once, without room.

Each is a real download over HTTP: download_session.py runs them, `session` has what came of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ["config.json", "model.bin"]
SIZE, ALL = 300_000, 300_008
WORDS = 60  # longer messages are not one sentence


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    work = tmp_path_factory.mktemp("downloads")
    command = [sys.executable, HERE / "download_session.py", work]
    private = ["unshare", "--user", "--map-root-user", "--mount"]  # may mount a disk of its own
    with_disk = sys.platform == "linux" and _works([*private, "true"])
    ran = subprocess.run(
        private * with_disk + command,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def gets(attempt) -> list[str]:
    return [each for each in attempt["requests"] if each.startswith("GET")]


def came(attempt, name: str) -> bool:
    """Whole, and nothing else is left: no partial file, no lock."""
    return attempt["error"] is None and attempt["whole"] and attempt["left"] == [name]


def test_a_download_is_announced_and_counted(session):
    normal = session["normal"]
    assert came(normal, "normal")
    assert gets(normal) == [f"GET lab/normal/{file}" for file in FILES]
    first, last = normal["log"]
    assert first.startswith("Downloading normal: config.json and model.bin (300 kB) from http://")
    assert f"/lab/normal to {os.sep}" in first or os.name == "nt"
    assert last.startswith("Downloaded normal: 300 kB in ")
    assert session["there"]["requests"] == []


def test_progress_counts_the_bytes_of_all_files(session):
    progress = session["slow"]["progress"]
    assert came(session["slow"], "slow")
    assert progress == sorted(progress)
    assert len({done for done, _ in progress}) > 3
    assert {total for _, total in progress} == {0, ALL}
    assert progress[-1] == [ALL, ALL]
    assert any("kB/s, about " in line for line in session["slow"]["log"])


def test_a_line_that_breaks_is_taken_up_again(session):
    once = session["cut once"]
    assert came(once, "cut")
    assert gets(once)[-1] == "GET lab/cut/model.bin from 150000"
    assert once["sent"] == SIZE


def test_the_next_run_goes_on_where_a_failed_one_stopped(session):
    cut, resumed = session["cut"], session["resumed"]
    assert cut["left"] == [".half.partial"]
    assert "Run again to go on from 150 kB." in cut["error"]
    assert came(resumed, "half")
    assert gets(resumed) == ["GET lab/half/model.bin from 150000"]
    assert cut["sent"] + resumed["sent"] == SIZE


def test_a_wrong_file_is_said_and_removed(session):
    damaged = session["damaged"]
    assert "was removed (its SHA-256 is " in damaged["error"]
    assert damaged["left"] == []
    assert came(session["repaired"], "damaged")


def test_settings_nested_too_deeply_are_damaged(session):
    assert "was removed (maximum recursion depth" in session["deep"]["error"]
    assert session["deep"]["left"] == []


def test_a_flood_does_not_fill_the_disk(session):
    flood = session["flood"]
    assert " bytes, expected 300000)" in flood["error"]
    assert flood["left"] == []
    assert flood["progress"][-1][0] < 2 * SIZE
    assert flood["sent"] < 20_000_000  # what was under way when the line was cut


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("401", "the hub answers 401: the repository is private or not there; log in with"),
        ("403", "the hub answers 403: accept the terms at http://"),
        ("404", "the hub answers 404: it has no such file"),
        ("429, long", "the hub answers 429: too many requests and asks to wait 60 min"),
        ("500", "the hub answers 500; try again later"),
        ("no answer", "timed out when asking http://127.0.0.1:"),
        ("no network", "refused when asking http://127.0.0.1:"),
        ("cut", "when asking http://127.0.0.1:"),
        ("limited", "the disk is full"),
        ("off", "download is off: switch it on to get it (about 600 kB), or put config.json and"),
    ],
)
def test_a_failure_says_why_and_the_manual_way(session, label, part):
    error, left = session[label]["error"], session[label]["left"]
    assert error.startswith("DownloadError: "), error
    assert part in error or sys.platform == "win32", error
    assert "put config.json and model.bin from http://127.0.0.1:" in error
    folder = Path(error.rstrip(".").rpartition(" into ")[2])
    assert folder.is_absolute()
    assert "\n" not in error
    assert len(error.split()) <= WORDS, error
    assert not session[label]["whole"]
    assert left in ([], [f".{folder.name}.partial"])


def test_a_busy_hub_is_waited_for_as_it_asks(session):
    for label, name in (("429", "busy"), ("429, get", "busy2")):
        assert came(session[label], name)
        assert session[label]["seconds"] >= 1
    assert session["429, long"]["seconds"] < 1
    assert any("trying again in 1 s" in line for line in session["429"]["log"])


def test_a_failing_hub_is_asked_a_few_times(session):
    assert came(session["500 twice"], "failing")
    assert session["500"]["requests"] == ["HEAD lab/broken/config.json"] * 5


def test_the_token_stays_with_the_hub(session):
    moved = session["elsewhere"]
    assert came(moved, "elsewhere")
    assert moved["requests"][-1] == "GET lab/elsewhere/model.bin elsewhere"
    assert session["tokens"] == {"hub": ["Bearer hf_" + "x" * 30], "elsewhere": [""]}


@pytest.mark.parametrize("label", ["cancelled", "429, cancelled", "silent", "silent file"])
def test_cancel_works_while_bytes_come_and_while_none_come(session, label):
    attempt = session[label]
    assert attempt["error"].startswith("Cancelled: ")
    assert attempt["after cancel"] < 1
    assert attempt["seconds"] < 10  # nobody has waited for the silent hub: 30 s
    assert attempt["left"] == ([".cancelled.partial"] if label == "cancelled" else [])


def test_a_cancelled_download_goes_on(session):
    after = session["after cancel"]
    assert came(after, "cancelled")
    assert after["sent"] < SIZE
    (asked,) = gets(after)
    assert asked.startswith("GET lab/cancelled/model.bin from ")


def test_a_full_disk(session):
    if "filled" not in session:
        pytest.skip("this system lets nobody but its administrator mount a small disk")
    assert "the disk is full ([Errno 28]" in session["filled"]["error"]
    assert session["filled"]["left"] == [".filled.partial"]
    full = session["still full"]
    needed = int(full["error"].partition("it needs ")[2].partition(" kB")[0])
    assert needed < SIZE * 2 / 3 / 1000  # what it has already is not asked for again
    assert "0 bytes free" in full["error"]
    assert gets(full) == []
    assert came(session["room again"], "filled")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of a process's files")
def test_a_file_that_may_not_grow(session):
    assert session["limited"]["left"] == [".limited.partial"]
    assert came(session["unlimited"], "limited")
    assert gets(session["unlimited"]) == ["GET lab/limited/model.bin from 100000"]


def test_two_processes_download_once(session):
    both = session["both"]
    assert came(both, "both")
    assert "Another process is downloading this model: waiting for it" in both["log"][0]
    assert not any("both" in each for each in both["requests"])


def test_a_killed_download_is_resumed_and_its_lock_is_no_hindrance(session):
    killed = session["killed"]
    assert came(killed, "killed")
    (asked,) = gets(killed)
    assert int(asked.rpartition(" ")[2]) > SIZE / 3
    assert killed["sent"] < SIZE
