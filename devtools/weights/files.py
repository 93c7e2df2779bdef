"""What is in the files of a model: sizes, checksums, tensors against the architecture, numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tokenopt_core.files.weights import Weights, read_weights
from tokenopt_core.hub.messages import failures
from tokenopt_core.hub.transfer import look_up

SHOWN = 12  # names of tensors on a line
READ_BYTES = 2**22
SHA256 = 64  # digits


def file_lines(paths: Sequence[Path], repo: str | None) -> Iterator[str]:
    """A table of files: size, SHA-256, and whether the hub's repository has the same."""
    yield "| file | bytes | SHA-256 | on the hub |"
    yield "|---|---|---|---|"
    for path in paths:
        digest = sha256(path)
        told = _on_the_hub(repo, path.name, digest)
        yield f"| {path.name} | {path.stat().st_size} | {digest} | {told} |"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _on_the_hub(repo: str | None, name: str, digest: str) -> str:
    """What it says of a file; of small ones it tells no SHA-256."""
    if repo is None:
        return "no repository of it is known"
    try:
        version = look_up(repo, name, lambda: None).version
    except failures() as error:
        return f"not asked ({type(error).__name__})"
    if len(version) != SHA256:
        return "it tells no SHA-256 of this one"
    return "the same" if version == digest else f"another one: {version}"


def key_lines(
    path: Path, expected: Mapping[str, Tensor], elsewhere: tuple[str, ...] = ()
) -> list[str]:
    """The tensors of a file beside those that the architecture has.

    Args:
        expected: the architecture's, also without memory.
        elsewhere: beginnings of the names that belong to parts which are not used here.
    """
    found = read_weights(path)
    other = [key for key in found if key not in expected and key.startswith(elsewhere)]
    unknown = [key for key in found if key not in expected and key not in other]
    missing = [key for key in expected if key not in found]
    shapes = [
        f"{key} {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    kinds = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in found.values())
    numbers = sum(found[key].numel() for key in expected if key in found)
    fits = not (missing or unknown or shapes)
    lines = [
        f"- {len(found)} tensors, {' and '.join(f'{n} of {kind}' for kind, n in kinds.items())}",
        f"- {len(expected)} of the architecture, {numbers} numbers in the file: "
        f"{'all there, and no others' if fits else 'NOT as expected'}",
    ]
    parts = Counter(key.partition(".")[0] for key in other)
    told = [f"{count} of {part}" for part, count in parts.items()]
    lines += [f"- besides, of parts that are not loaded: {listed(told)}"] if other else []
    lines += [f"- missing: {listed(missing)}"] if missing else []
    lines += [f"- unknown: {listed(unknown)}"] if unknown else []
    lines += [f"- of another shape: {listed(shapes)}"] if shapes else []
    return [*lines, number_line({key: found[key] for key in expected if key in found})]


def number_line(weights: Weights) -> str:
    """Whether all numbers are finite, and how large they are."""
    broken = [key for key, tensor in weights.items() if not torch.isfinite(tensor.float()).all()]
    if broken:
        return f"- NaN or infinite numbers in {listed(broken)}"
    largest = max(weights, key=lambda key: weights[key].float().abs().max().item())
    return f"- all finite, the largest {weights[largest].float().abs().max():.4g} in {largest}"


def listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
