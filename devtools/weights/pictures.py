"""What a tokenizer makes of pictures: published codes, reconstruction, and which activation of the
caption encoder it was trained with.

Axes: b images, n tokens, s = the tokenizer's image size.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tokenopt_core.guides.text_encoder import TextEncoder
from tokenopt_core.images.fit import fit_images
from tokenopt_core.tokenizers import Tokenizer

from ..comfyui.layout import ROOT

PUBLISHED = ROOT / "tests" / "golden" / "expected_l32.json"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Published:
    """One of the published results of a tokenizer beside its own.

    Args:
        same: codes as published, of `codes`.
        error: mean absolute difference of a pixel (0 to 1) from the published reconstruction; None
            where that picture is not there.
    """

    name: str
    same: int
    codes: int
    error: float | None

    def __str__(self) -> str:
        told = f"- {self.name}: {self.same} of {self.codes} codes as published"
        if self.error is None:
            return f"{told}; the published reconstruction is not there to compare with"
        return f"{told}; a pixel is {self.error:.4f} from the published reconstruction on average"


@torch.no_grad()
def published_results(tokenizer: Tokenizer, folder: Path) -> Iterator[Published]:
    """Of each published photograph that `folder` has, untouched, what this tokenizer makes of it.

    The codes come from a computation with TF32 on a GPU: one of 32 may differ at a tie.
    """
    for name, expected in json.loads(PUBLISHED.read_text(encoding="utf-8"))["images"].items():
        path = folder / name
        if not path.is_file():
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected["sha256_input"]:
            raise ValueError(f"{path} is not the published file: get that one, not a copy of it.")
        tokens, codes = tokenizer.quantize(tokenizer.encode(read(path)))
        same = int((codes[0].cpu() == torch.tensor(expected["codes"])).sum())
        shown = folder / expected["reconstruction_png"]
        error = None
        if shown.is_file():
            error = (tokenizer.decode(tokens).clamp(0, 1) - read(shown)).abs().mean().item()
        yield Published(name, same, len(expected["codes"]), error)


def pictures_in(folder: Path) -> list[tuple[Path, str]]:
    """The pictures of a folder, each with its caption ("" without one): the text of NAME.txt beside
    NAME.png.

    Raises:
        ValueError: there is none.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            text = path.with_suffix(".txt")
            caption = text.read_text(encoding="utf-8") if text.is_file() else ""
            found.append((path, " ".join(caption.split())))
    if not found:
        raise ValueError(f"{folder} has no pictures, expected {', '.join(SUFFIXES)}.")
    return found


@torch.no_grad()
def reconstruction_errors(
    tokenizer: Tokenizer,
    pictures: Sequence[tuple[Path, str]],
    encoder: TextEncoder | None = None,
) -> list[float]:
    """The mean squared error (0 to 1) of each picture, cropped and resized, after encoding and
    decoding; with its caption where there is an encoder."""
    errors = []
    for path, caption in pictures:
        image = fit_images(read(path), tokenizer.spec.image_size)
        text = None if encoder is None else encoder.encode_text([caption]).guidance
        tokens = tokenizer.quantize(tokenizer.encode(image)).tokens
        again = tokenizer.decode(tokens, text).clamp(0, 1)
        errors.append((again - image).square().mean().item())
    return errors


def decibels(errors: Sequence[float]) -> float:
    """The mean PSNR of mean squared errors."""
    return sum(-10 * math.log10(max(error, 1e-12)) for error in errors) / len(errors)


def compare(first: Sequence[float], second: Sequence[float]) -> tuple[int, float]:
    """In how many pictures the first error is the lower one, and how likely it is (two-sided sign
    test) that chance makes a split as uneven."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    wins, n = sum(a < b for a, b in pairs), len(pairs)
    tail = sum(math.comb(n, k) for k in range(max(wins, n - wins), n + 1)) / 2**n
    return wins, min(1.0, 2 * tail)


def read(path: Path) -> Tensor:
    """(1, 3, h, w) in [0, 1]."""
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels).movedim(-1, 0)[None]
