"""The whole library on an accelerator that is pretended, in a process of its own.

What forgets to move a tensor fails there as it would on a GPU; numbers are those of the CPU.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch.utils import backend_registration

from devtools.comfyui.layout import ROOT
from tokenopt_core.compute.half_precision import autocast

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch cannot pretend a device",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("clip")
    command = [sys.executable, "-m", "tests.unit.on_pretended_device", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_device_refuses_tensors_of_the_cpu(found):
    assert "a tensor on pretended and one on the CPU" in found["mixed"]


def test_the_numbers_are_those_of_the_cpu(found):
    exact = {name: apart for name, apart in found["differences"].items() if "float16" not in name}
    assert len(exact) > 20
    assert {name: apart for name, apart in exact.items() if apart is None or apart > 1e-4} == {}


def test_half_precision_runs_there(found):
    lowered = [apart for name, apart in found["differences"].items() if "float16" in name]
    assert len(lowered) == 10
    assert all(apart is not None and apart < 1 for apart in lowered)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("variant", ["plain", "without codes", "low_memory"])
def test_a_step_waits_for_the_device_once(found, precision, variant):
    assert found["waits"][f"run, {precision}, {variant}"] == {"loop.py:_verdicts": found["steps"]}


def test_a_search_waits_once_a_batch(found):
    """63 other codes, 8 at a time, for 2 images at 2 positions."""
    waits = found["waits"]["search"]
    assert waits["candidates.py:losses"] == 8 * 4
    assert not any(name.startswith("replacement.py") for name in waits)


def test_a_device_without_autocast_computes_as_it_is():
    for dtype in (torch.float32, torch.float16):
        with autocast(dtype, torch.device("vulkan")):
            assert (torch.ones(1) * 2).item() == 2
