"""The speed benchmark's look at the nodes: does it measure what it says?"""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.speed.nodes import of_pack, parse_importtime, reporting

LOAD = """
import colorsys, importlib.util, sys
name = sys.argv[1]
spec = importlib.util.spec_from_file_location(name, name + "/__init__.py")
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.enter()
import this
"""


def test_the_import_is_that_of_the_pack_and_of_what_it_loads_first(tmp_path):
    pack = tmp_path / "custom_nodes" / "tokenopt"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text("def enter():\n    from . import nodes\n")
    (pack / "nodes.py").write_text("import colorsys, wave\nfrom . import slow\n")
    (pack / "slow.py").write_text("import time\ntime.sleep(0.2)\n")
    command = [sys.executable, "-X", "importtime", "-c", LOAD, pack.as_posix()]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = parse_importtime(run.stderr)
    seconds, own, others = of_pack(found)
    assert own == 2
    assert "wave" in others
    assert not {"colorsys", "this"} & set(others)
    assert {"colorsys", "this"} <= {module.name for module in found}
    (nodes,) = (module for module in found if module.name.endswith("tokenopt.nodes"))
    assert seconds == pytest.approx(nodes.cumulative)
    assert seconds >= 0.2


def test_reporting_is_measured_with_previews_that_arrive(client):
    found = reporting(client, blocks=2)
    assert found["previews"] == 3  # one while it warms up
    assert found["seconds"] > 0
    assert -1 < found["share"] < 10
    assert found["noise"] >= 0
