"""Images of a folder in ComfyUI's input directory, for nodes that look at many of them.

What a workflow names stays inside that directory: links that lead out of it count as not there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ...tokenopt_core.checks import shown, writable
from ...tokenopt_core.images.resize import resize_bands
from .compat import folder_paths, io, model_management
from .file_names import stays_inside

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_KINDS = "png, jpg, webp or bmp"
# What such a file may hold, whatever its name says. Pillow hands others, EPS, to other programs.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
MOST_PIXELS = 178_000_000  # of a file; Pillow refuses more too, until another pack switches it off
BAND = 2**22  # pixels that are floating point numbers at once


class BrokenImage(ValueError):
    """A file that is no readable image; the message names it."""


def folder_input(name: str = "folder", **more) -> io.Input:
    """The widget for `list_images`."""
    return io.String.Input(
        name,
        default="",
        tooltip="A folder inside ComfyUI's input directory, such as photos/beach; . is the input "
        f"directory itself. Its {_KINDS} files are used, subfolders are not. "
        "Empty: the connected image instead.",
        **more,
    )


def list_images(folder: str, name: str = "folder") -> list[Path]:
    """The image files of a folder in the input directory, sorted by name; not what lies deeper.

    Raises:
        ValueError: no such folder inside the input directory, or no image in it; `name` is the
            input's name in the message.
    """
    base = Path(folder_paths.get_input_directory()).resolve()
    place = _inside(base, folder, name)
    named = [path for path in place.iterdir() if path.suffix.lower() in SUFFIXES]
    files = [p for p in named if p.is_file() and p.resolve().is_relative_to(base)]
    if len(files) < len(named):
        more = len(named) - len(files)
        log.warning("%s %s: %d entries are no files of it.", name, writable(repr(folder)), more)
    if not files:
        raise ValueError(
            f"{name} {folder!r} has no image, expected {_KINDS} files; put some into it, or choose "
            "another folder of ComfyUI's input directory."
        )
    return sorted(files)


def folder_fingerprint(folder: str | None) -> str | float:
    """Another text after the images of a folder have changed; never an error.

    A folder that comes through a link (None) is unknown before the run: NaN, which is never equal.
    """
    if folder is None:
        return float("nan")  # a new one: Python takes a NaN for equal to itself in a list
    try:
        files = list_images(folder) if folder.strip() else []
        facts = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    except (OSError, ValueError):  # said when the node runs
        return ""
    return sha256(repr(facts).encode()).hexdigest()


def read_image(path: Path, size: int) -> Tensor:
    """The central square (3, size, size) in [0, 1] of an image file.

    Turned upright by its EXIF; transparency is ignored, as TiTok Encode does.

    Raises:
        BrokenImage: the file cannot be read.
    """
    try:
        return decode_image(path.read_bytes(), path.name, size)
    except OSError as error:
        raise BrokenImage(f"{path.name} cannot be read ({error.strerror}).") from error


def decode_image(content: bytes, name: str, size: int) -> Tensor:
    """As `read_image`, of the bytes of the file `name`."""
    try:
        with Image.open(BytesIO(content)) as opened:
            if opened.format not in FORMATS:
                raise BrokenImage(f"{name} is no readable image.")
            if opened.width * opened.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            ImageOps.exif_transpose(opened, in_place=True)
            with torch.inference_mode(False):
                return _square(opened, size)
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise BrokenImage(f"{name} has more than {MOST_PIXELS // 10**6} million pixels.") from error
    except Exception as error:  # a damaged file stops Pillow's decoders in many ways
        raise BrokenImage(f"{name} is no readable image.") from error


def _square(image: Image.Image, size: int) -> Tensor:
    """The central square (3, size, size) in [0, 1] of an image, as `fit_images` makes it.

    It is read a band of rows at a time, so that a large image is never in memory as floating point
    numbers.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    rows = max(1, BAND // side)
    bands = (
        _tensor(image.crop((left, top + row, left + side, top + min(row + rows, side))))
        for row in range(0, side, rows)
    )
    return resize_bands(bands, (size, size))[0].contiguous()


def _tensor(image: Image.Image) -> Tensor:
    """(1, 3, h, w) in [0, 1]."""
    return torch.from_numpy(_rgb(image)).movedim(2, 0)[None].float() / 255


def _rgb(image: Image.Image) -> np.ndarray:
    """(h, w, 3) of 0 to 255."""
    if image.mode.startswith("I"):  # 16 bits of grey, which a conversion would cut off
        grey = (np.asarray(image) // 257).clip(0, 255).astype("uint8")
        image = Image.fromarray(grey)
    return np.array(image.convert("RGB"))


def readable_images(
    paths: Sequence[Path], size: int, skipped: list[str]
) -> Iterator[tuple[Path, Tensor]]:
    """The images that can be read, with their files, one at a time.

    Args:
        skipped: gets a sentence about each of the others.

    Raises:
        ValueError: at the end, if not a single one could be read.
    """
    readable = False
    for path in paths:
        model_management.throw_exception_if_processing_interrupted()  # many may be broken
        try:
            image = read_image(path, size)
        except BrokenImage as broken:
            skipped.append(str(broken))
            continue
        readable = True
        yield path, image
    if not readable:
        raise none_readable(len(paths))


def none_readable(count: int, name: str = "folder") -> ValueError:
    """The error of a folder whose images are all broken."""
    return ValueError(
        f"{name} has no image that can be read, only {count} broken, expected {_KINDS} images; "
        "replace the broken files or choose another folder."
    )


def _inside(base: Path, folder: str, name: str) -> Path:
    """The folder, if it is one and lies in `base`."""
    outside, there, plain = True, False, str(folder).strip()
    if stays_inside(plain):
        try:
            place = (base / plain).resolve()
            outside, there = not place.is_relative_to(base), place.is_dir()
        except (OSError, ValueError, RuntimeError):  # too long for the disk, a circle of links
            outside, there = False, False
    if outside:
        raise ValueError(
            f"{name} is {shown(folder)}, which leaves ComfyUI's input directory; expected a folder "
            "inside it: move or copy the images there."
        )
    if not plain or not there:
        raise ValueError(
            f"{name} is {shown(folder)}, expected an existing folder inside ComfyUI's input "
            "directory, such as photos, or . for the directory itself."
        )
    return place
