"""Weights files: read without running code in them, and compared with what a network expects."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a file by name, on the CPU, mapped from the disk where the format allows.

    Raises:
        ValueError: the file is cut short, damaged, or holds anything but tensors by name.
    """
    weights = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        weights = weights["state_dict"]  # as trainers write it, beside the state of the training
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(
            f"{path} holds a {type(weights).__name__} of other things, expected a state_dict: "
            "tensors by name."
        )
    return weights


def check_weights(path: Path, found: Weights, expected: Weights) -> None:
    """Raise ValueError naming the first missing, unknown or misshapen tensors, if there are any."""
    problems = [f"no {key}" for key in expected if key not in found]
    problems += [f"an unknown {key}" for key in found if key not in expected]
    problems += [
        f"{key} of shape {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise ValueError(
            f"{path} does not fit its tokenizer: it has {', '.join(problems[:SHOWN])}{more}; "
            "check that it is the right file for this name or config.json."
        )


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(_damaged(path, error)) from error


def _read_pickle(path: Path) -> object:
    try:
        mmap = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is damaged or holds more than tensors, expected a plain state_dict: "
            "take the published file, .safetensors if there is one."
        ) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle stops the reader in many ways
        raise ValueError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{path} is damaged or incomplete ({reason}): delete it and get it again."
