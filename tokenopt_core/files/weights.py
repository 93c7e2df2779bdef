"""Weights files of strangers: read without running code in them, and checked.

A file may have been made by somebody who means harm. Nothing is computed with a tensor, and no
memory is spent on it, before its kind and size have been looked at.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..checks import shown

Weights = Mapping[str, Tensor]

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
SHOWN = 3
FLOATS = tuple(
    getattr(torch, name)
    for name in ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
)
COUNTERS = (torch.int64, torch.int32, torch.bool)  # what batch normalization counts, and masks
# Tensors of a file may share memory, and so be more than the file has: as much again is believed.
MOST_SHARED = 2
# Before 2.10 torch believes a pickle about the sizes of the entries, and reads what is behind them,
# unless it maps the file (pytorch/pytorch#165553).
MAPPED = torch.__version__ < (2, 10)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a file by name, on the CPU; those of .safetensors are mapped from the disk.

    Raises:
        ValueError: the file cannot be opened, is cut short, damaged, or holds anything but tensors
            by name, all of them plain numbers that are really in the file.
    """
    try:
        path.open("rb").close()
    except OSError as error:  # safetensors calls one that may not be read "no such file"
        raise ValueError(f"{path} cannot be read ({error.strerror}): get it again.") from error
    weights = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        weights = weights["state_dict"]  # as trainers write it, beside the state of the training
    if not isinstance(weights, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items()
    ):
        raise ValueError(
            f"{path} holds a {type(weights).__name__} of other things, expected a state_dict: "
            "tensors by name."
        )
    _check_tensors(path, weights)
    return weights


def check_weights(path: Path, found: Weights, expected: Weights, owner: str = "tokenizer") -> None:
    """Raise ValueError naming the first missing, unknown or misshapen tensors, if there are any.

    Args:
        owner: what the weights are for, in the message.
    """
    problems = [f"no {key}" for key in expected if key not in found]
    problems += [f"an unknown {key}" for key in found if key not in expected]
    problems += [
        f"{key} of shape {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    problems += [
        f"{key} of type {found[key].dtype} instead of floating point"
        for key in expected
        if key in found and found[key].dtype not in FLOATS
    ]
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise ValueError(
            f"{path} does not fit its {owner}: it has {', '.join(problems[:SHOWN])}{more}; "
            "check that it is the right file for this name or config.json."
        )


def check_finite(path: Path, key: str, tensor: Tensor) -> None:
    """Raise ValueError if a weight is NaN or infinite: every image would be black or noise."""
    if tensor.numel() and not all(end.isfinite() for end in tensor.aminmax()):
        raise ValueError(
            f"{path} has NaN or infinite numbers in {key} (as {tensor.dtype}), expected finite "
            "weights: its training or a conversion failed; get another file."
        )


def _check_tensors(path: Path, weights: Weights) -> None:
    """Refuse what is no array of plain numbers in memory, and what the file cannot hold.

    A pickle can describe tensors of any size by a few bytes: one number, repeated.
    """
    for key, tensor in weights.items():
        in_memory = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not in_memory or tensor.dtype not in (*FLOATS, *COUNTERS):
            kind = tensor.dtype if in_memory else f"{tensor.layout} on {tensor.device}"
            raise ValueError(
                f"{path} has the tensor {shown(key)} of type {kind}, expected floating point "
                "numbers: take a file that is not quantized or otherwise packed."
            )
    described = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    size = path.stat().st_size
    if described > MOST_SHARED * size:
        raise ValueError(
            f"{path} has {size} bytes but describes {described} bytes of tensors, expected the "
            "numbers themselves: get the published file."
        )


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(_damaged(path, error)) from error


def _read_pickle(path: Path) -> object:
    with path.open("rb") as file:
        archive = file.read(4) == b"PK\3\4"  # as torch recognizes one
    if archive:
        _check_archive(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archive and MAPPED)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is damaged or holds more than tensors, expected a plain state_dict: "
            "take the published file, .safetensors if there is one."
        ) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle stops the reader in many ways
        raise ValueError(_damaged(path, error)) from error


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than the file has: torch takes that memory at once.

    Torch finds the list of entries by its stated place, Python right before the end: the same one
    only if an entry is where the file begins, since Python corrects the places by the difference.
    (The place of a list of 64 bits Python compares itself, since the repair of CVE-2025-8291.)
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(_damaged(path, error)) from error
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(
                f"{path} is a compressed archive ({shown(entry.filename)} unpacks to "
                f"{entry.file_size} bytes), expected a file as torch.save writes it: save it anew, "
                "as .safetensors if you can."
            )
    begins = any(entry.header_offset == 0 for entry in entries)
    if not begins or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError(_damaged(path, "its list of entries does not fit it"))


def _damaged(path: Path, error: object) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{path} is damaged or incomplete ({reason}): delete it and get it again."
