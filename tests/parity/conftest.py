"""Fixtures for comparing with tests/golden, and a table of the errors found, after the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden"
STATE = "state_dict."

_worst: dict[str, dict[str, float]] = {}


@dataclass
class Golden:
    """One fixture: notes, the official weights, and the inputs and results by name."""

    name: str
    meta: dict[str, Any]
    weights: dict[str, Tensor] = field(repr=False)
    tensors: dict[str, Tensor] = field(repr=False)

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def tokens(self, key: str) -> Tensor:
        """[B, D, 1, N] or [B, D, H, W] of the checkpoints as the pack's (b, n, d)."""
        return to_tokens(self.tensors[key])


def to_tokens(value: Tensor) -> Tensor:
    return value.flatten(-2).transpose(-1, -2).contiguous()


def hub_config(meta: dict[str, Any], image_size: int | None = None) -> dict[str, Any]:
    """The fixture's config with the sizes that its names "tiny" and "tinyb" stand for."""
    config = json.loads(json.dumps(meta.get("config", {"model": {"vq_model": {}}})))
    vq_model = config["model"]["vq_model"]
    if "sizes" in meta:
        vq_model["vit_enc_model_size"] = meta["sizes"]["enc"]
        vq_model["vit_dec_model_size"] = meta["sizes"]["dec"]
    if "pixel_stage" in meta:
        vq_model["pixel_stage"] = meta["pixel_stage"]
    if image_size:
        config["dataset"] = {"preprocessing": {"crop_size": image_size}}
    return config


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Name -> the fixture of that name."""

    def load(name: str) -> Golden:
        meta = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
        everything = load_file(GOLDEN / f"{name}.safetensors")
        weights = {k.removeprefix(STATE): v for k, v in everything.items() if k.startswith(STATE)}
        rest = {k: v for k, v in everything.items() if not k.startswith(STATE)}
        return Golden(name, meta, weights, rest)

    return load


@pytest.fixture(scope="session")
def hub_folder(golden, tmp_path_factory) -> Callable[..., Path]:
    """Name -> a folder in hub layout with that fixture's weights and config.

    `image_size` overrides the config's (the convolutional tokenizer works at several).
    """

    def make(name: str, image_size: int | None = None) -> Path:
        fixture = golden(name)
        folder = tmp_path_factory.mktemp("hub") / name
        folder.mkdir()
        save_file(fixture.weights, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.dumps(hub_config(fixture.meta, image_size))
        (folder / "config.json").write_text(config, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def parity_error(record_property) -> Callable[[str, float], None]:
    """Record a relative error under a label "fixture: what", for the report and the table."""

    def record(label: str, error: float) -> None:
        record_property(f"error of {label}", error)
        name, _, what = label.partition(": ")
        table = _worst.setdefault(name, {})
        table[what] = max(error, table.get(what, 0.0))

    return record


@pytest.fixture
def close(parity_error) -> Callable[[str, Tensor, Tensor, float], None]:
    """Assert that a value is within a tolerance of its reference, and record its error.

    `close("fixture: what", value, reference, tolerance)`; the error is relative to the largest
    magnitude of the reference.
    """

    def check(label: str, value: Tensor, reference: Tensor, tolerance: float) -> None:
        assert value.shape == reference.shape, label
        value, reference = value.detach().double(), reference.double()
        error = ((value - reference).abs().max() / reference.abs().max().clamp_min(1e-30)).item()
        parity_error(label, error)
        assert error <= tolerance, f"{label}: error {error:.2e}, at most {tolerance:.0e} allowed"

    return check


@pytest.fixture(autouse=True)
def _one_thread():
    """Tiny models are quicker, and sums the same everywhere, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _worst:
        return
    terminalreporter.section("largest relative errors against the official code")
    for name, table in sorted(_worst.items()):
        parts = ", ".join(f"{what} {error:.1e}" for what, error in table.items())
        terminalreporter.write_line(f"{name}: {parts}")
