"""A ComfyUI whose accelerator is pretended: what the nodes forget to move fails, as on a GPU.

The templates give there what they give on the CPU, and models move by ComfyUI's own means.
"""

from __future__ import annotations

import os
import re
import shutil

import numpy as np
import pytest
from torch.utils import backend_registration

from devtools.comfyui.checks import pixels, succeed
from devtools.comfyui.layout import DEV, ROOT, make_base
from devtools.comfyui.server import ComfyServer
from devtools.templates.short import short_templates
from tests.server.neighbours import calls
from tests.server.test_neighbours import MISSING
from tests.server.test_scarce_memory import scarce

PACKS = [ROOT / "tests" / "server" / name for name in ("pretended_pack", "hostile_pack")]
MEMORY = re.compile(r"pretended device: peak (\d+), left (\d+)")

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch cannot pretend a device",
)


@pytest.fixture(scope="module")
def there():
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    base = make_base(DEV / f"device-base-{worker}", *PACKS)
    encoder = base / "models" / "titok_guides" / "captions"  # as that of the other server
    shutil.copytree(ROOT / "tokenopt_core" / "demo" / "clip", encoder, dirs_exist_ok=True)
    with ComfyServer(base, log=base / "server.log") as running:
        yield running


def memory(server) -> tuple[int, int]:
    """Bytes on the device in the last prompt: at most, and left behind."""
    return tuple(map(int, MEMORY.findall(server.log_text())[-1]))


@pytest.mark.parametrize("name", short_templates())
def test_a_template_gives_the_same_there(client, there, name):
    graph = short_templates()[name]
    here, moved = succeed(client, graph), succeed(there.client(), graph)
    saved = [number for number in graph if graph[number]["class_type"] == "SaveImage"]
    assert saved
    for number in saved:
        expected = pixels(client, here, number).astype(int)
        found = pixels(there.client(), moved, number).astype(int)
        assert found.shape == expected.shape
        assert (np.abs(found - expected) > 2).mean() < 0.001, number  # a last digit
    peak, left = memory(there)
    assert left < peak


def test_where_memory_runs_out_the_models_leave_it(there):
    """The run takes copies along, with the same result."""
    graph, client = short_templates()["text_edit"], there.client()
    plain = succeed(client, graph)
    _, resident = memory(there)
    spared = succeed(client, scarce(graph, pictures=1))
    _, left = memory(there)
    assert "trying one image and one crop after the other" in there.log_text()
    assert left < resident / 2
    expected, found = (pixels(client, run, "7").astype(int) for run in (plain, spared))
    assert (np.abs(found - expected) > 2).mean() < 0.001


def test_images_on_the_device_meet_masks_of_the_cpu(there, edit):
    """As with --gpu-only, where core's masks stay on the CPU. It changes the server: the last."""
    made = calls(there.client(), edit, "none", sender="Pretended_Send")
    assert len(made) > 35
    failed = [call for call in made if call.error and not call.node.endswith(tuple(MISSING))]
    assert not failed, "\n".join(map(str, failed))
