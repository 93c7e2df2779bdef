"""The check of a GPU where there is none: on the CPU, on a pretended device, and cut short."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from benchmarks.gpu_check import __main__ as gpu_check
from benchmarks.gpu_check import compare, rows
from benchmarks.gpu_check.check import Part
from benchmarks.speed import clock
from benchmarks.speed.models import DEMO, EVERY_SMALL
from benchmarks.speed.step_profile import STEP, activity
from devtools.comfyui.layout import ROOT

PARTS = [part.name for part in gpu_check.PARTS]
ON_PRETENDED = """
import sys, torch
from tests.unit.pretended_device import NAME, PretendedDevice, register
register()
from benchmarks.gpu_check import __main__ as gpu_check
from benchmarks.gpu_check import rows
from benchmarks.speed import clock
clock.MATRIX_SIDE[NAME] = 256
Scaler = torch.amp.GradScaler  # the plain loop's: it needs float64, but on Apple's devices
torch.amp.GradScaler = lambda device, enabled: Scaler(device, enabled=False)
for precision in ("float32", "bfloat16", "float16"):  # the exact one moves the same tensors
    del rows.PRECISIONS[precision]
with PretendedDevice():
    sys.exit(gpu_check.main(["--device", NAME, "--quick", "--out", sys.argv[1]]))
"""
HANGS = """
import sys, threading
from benchmarks.gpu_check import __main__ as gpu_check
folder, minutes = sys.argv[1:]
done = gpu_check.Part("done", lambda check: iter([{"plain": 1.0}]))
hangs = gpu_check.Part("hangs", lambda check: iter(threading.Event().wait, None))
gpu_check.PARTS = (done, hangs)
gpu_check.main(["--device", "cpu", "--minutes", minutes, "--quick", "--out", folder])
"""


def start(command: list[str]) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def read(folder: Path) -> dict:
    def refuse(constant: str):
        raise AssertionError(f"{constant} is no JSON")

    text = (folder / "gpu_check.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_a_dry_run_on_the_cpu_does_every_part(tmp_path, monkeypatch, capsys):
    """As `python -m benchmarks.gpu_check`, in this process."""
    arguments = ["gpu_check", "--device", "cpu", "--quick", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setitem(clock.MATRIX_SIDE, "cpu", 256)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("benchmarks.gpu_check", run_name="__main__")
    said = capsys.readouterr().out
    figures = read(tmp_path)
    assert ended.value.code == 0, said[-3000:]
    assert figures["complete"]
    assert list(figures["parts"]) == PARTS
    assert all(part["result"] for part in figures["parts"].values())
    known = figures["parts"][PARTS[0]]["result"]
    assert {row["models"] for row in known} == {compare.names_of(each) for each in EVERY_SMALL}
    assert {row["precision"] for row in known} == set(rows.PRECISIONS)
    page = (tmp_path / "gpu_check.md").read_text(encoding="utf-8")
    assert figures["machine"]["device"] in page.splitlines()[0]
    assert page.strip() in said
    for title in ("## Results", "## Speed", "## Memory", "## One step", "FAILED"):
        assert (title in page) == (title != "FAILED")


def test_nothing_stays_behind_on_the_cpu(tmp_path):
    """On a device that refuses tensors of the CPU."""
    pytest.importorskip("torch.utils.backend_registration")
    run = start(["-c", ON_PRETENDED, str(tmp_path)])
    said, _ = run.communicate(timeout=600)
    parts = read(tmp_path)["parts"]
    assert list(parts) == PARTS, said[-3000:]
    assert {name: part["error"] for name, part in parts.items() if "error" in part} == {}
    assert parts["memory"]["skipped"] == "this device does not count its memory"
    known = [row for part in parts.values() for row in part.get("result", []) if "what" in row]
    assert {row["models"] for row in known} >= {compare.names_of(each) for each in EVERY_SMALL}
    assert [row for row in known if not row["passed"]] == []


def test_killed_in_the_middle_it_leaves_what_was_done(tmp_path):
    run = start(["-c", HANGS, str(tmp_path), "8"])
    try:
        while run.poll() is None:
            time.sleep(0.05)
            if (tmp_path / "gpu_check.json").is_file() and read(tmp_path)["running"] == "hangs":
                break
    finally:
        run.kill()
        said, _ = run.communicate()
    assert (tmp_path / "gpu_check.json").is_file(), said[-3000:]
    figures = read(tmp_path)
    assert not figures["complete"]
    assert figures["parts"]["done"]["result"] == {"plain": 1.0}
    assert "**Not complete: hangs.**" in (tmp_path / "gpu_check.md").read_text(encoding="utf-8")


def test_at_the_limit_it_ends_whatever_hangs(tmp_path):
    run = start(["-c", HANGS, str(tmp_path), "0.2"])
    said, _ = run.communicate(timeout=600)
    assert run.returncode == 1
    figures = read(tmp_path)
    assert figures["cut"] == "the time was over in the part 'hangs'"
    assert "Not complete: the time was over in the part 'hangs'" in said


@pytest.fixture
def parts(monkeypatch):
    """A check of a few parts that are made up."""

    def fails(check):
        yield [rows.row("models", "float32", "images", float("nan"), 1.0)]
        raise RuntimeError("no kernel\nfor this card")

    def works(check):
        yield {"plain": 1.0}

    parts = (
        Part("fails", fails),
        Part("memory", works),
        Part("long", works, seconds=10_000),
    )
    monkeypatch.setattr(gpu_check, "PARTS", parts)


def test_a_part_that_fails_or_takes_too_long_is_told_and_the_others_go_on(parts, tmp_path, capsys):
    assert gpu_check.main(["--device", "cpu", "--out", str(tmp_path)]) == 1
    figures = read(tmp_path)["parts"]
    assert figures["fails"]["error"] == "RuntimeError: no kernel\nfor this card"
    assert figures["fails"]["result"][0]["difference"] == "nan"
    assert figures["memory"]["result"] == {"plain": 1.0}
    assert "10000 or more" in figures["long"]["skipped"]
    page = capsys.readouterr().out
    assert "FAILED models, float32, images: nan apart" in page
    assert "error: RuntimeError: no kernel" in page


def test_a_wrong_device_fails():
    """As if it lost a sign on the way."""
    tokenizer, _ = DEMO.on(rows.CPU)
    features = torch.randn(2, 16, 12, generator=torch.Generator().manual_seed(1))
    codes = tokenizer.quantize(features).codes
    assert compare._near_ties(tokenizer, features, features, codes)[0] == 0
    unexplained, note = compare._near_ties(tokenizer, features, features, codes.flip(0))
    assert unexplained > compare.NEAR_TIE
    assert "32 of 32 differ" in note
    assert rows.apart(-features, features, "images") == pytest.approx(2)


def event(name: str, start: float, end: float, on_cpu: bool = True):
    device = DeviceType.CPU if on_cpu else DeviceType.CUDA
    span = SimpleNamespace(start=start, end=end)
    return SimpleNamespace(
        name=name, time_range=span, device_type=device, cpu_children=[], is_user_annotation=False
    )


def test_a_profile_tells_kernels_gaps_and_waits():
    """Two steps of 1 ms, kernels that overlap, and one that ends after the program's last step."""
    found = activity(
        [
            event(STEP, 0, 1000),
            event(STEP, 1000, 2000),
            event(STEP, 100, 2500, on_cpu=False),
            event("before", -50, -10, on_cpu=False),
            event("someLaunchKernel", 50, 60),
            event("someStreamSynchronize", 800, 900),
            event("gemm", 100, 500, on_cpu=False),
            event("gemm", 400, 800, on_cpu=False),
            event("Memcpy DtoH", 1200, 1300, on_cpu=False),
            event("norm", 2300, 2500, on_cpu=False),
            event("deviceSynchronize after the steps", 2100, 2500),
        ],
        steps=2,
    )
    assert (found["kernels"], found["launches"], found["waits"], found["copies"]) == (
        2,
        0.5,
        0.5,
        0.5,
    )
    assert (found["wall_ms"], found["busy_ms"], found["gaps_ms"]) == (1.25, 0.5, 0.75)
    assert found["longest_gap_ms"] == 1
    assert found["top"][0] == {"name": "gemm", "ms": 0.4, "calls": 1}
