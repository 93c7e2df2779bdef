"""Files that somebody made to do harm, and how much memory looking at them takes."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

WORDS = 60  # longer messages are not one sentence
MOST_GROWTH = 64  # MiB; the files are a megabyte, what they ask for are thousands
STATUS = Path("/proc/self/status")


class MakesAFolder:
    """Code that runs where it is unpickled without care."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        import os

        return os.mkdir, (self.path,)


def change_header(file: Path, change: Callable[[dict], None]) -> None:
    """Rewrite what a safetensors file says about its tensors, and leave their bytes."""
    content = file.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    change(header)
    told = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(told)) + told + content[8 + size :])


def change_tensors(file: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, file)


def change_json(file: Path, place: str, values: Mapping[str, object]) -> None:
    """Set some values of the object at a dotted place ("" is the whole)."""
    content = json.loads(file.read_text(encoding="utf-8"))
    target = content
    for part in filter(None, place.split(".")):
        target = target[part]
    target.update(values)
    file.write_text(json.dumps(content), encoding="utf-8")


def pack(file: Path, target: Path, mebibytes: int = 0) -> None:
    """A file of torch.save with its parts compressed; the first one made large with zeros."""
    with (
        zipfile.ZipFile(file) as plain,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            with packed.open(name, "w") as part:
                part.write(plain.read(name))
                for _ in range(mebibytes if name.endswith("data.pkl") else 0):
                    part.write(bytes(2**20))


def list_again(file: Path) -> None:
    """Put a second list of its entries at the end of an archive, which says that none is packed."""
    with zipfile.ZipFile(file) as archive:
        start, count = archive.start_dir, len(archive.namelist())
    content = file.read_bytes()
    listed, at = bytearray(content[start:-22]), 0
    while at < len(listed):
        listed[at + 10 : at + 12] = bytes(2)  # stored
        listed[at + 20 : at + 24] = listed[at + 24 : at + 28]
        at += 46 + sum(struct.unpack_from("<HHH", listed, at + 28))
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(listed), start, 0)
    file.write_bytes(content[:-22] + listed + end)


def list_often(file: Path, times: int) -> None:
    """Name the largest entry of an archive many times, with its bytes in the file once."""
    with zipfile.ZipFile(file, "a") as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        archive.filelist += [largest] * times
        archive.writestr("last", b"")  # so that the list is written anew


def change_pickle(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Rewrite the pickle in a file of torch.save."""
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails if the peak of this process grows by more than MOST_GROWTH; looks on Linux only."""
    if not sys.platform.startswith("linux"):
        yield
        return
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before = _status("VmRSS")
    yield
    grown = (_status("VmHWM") - before) / 1024
    assert grown < MOST_GROWTH, f"{grown:.0f} MiB"


def _status(name: str) -> int:
    """KiB"""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def refused(load: Callable[[], object], *parts: str) -> None:
    """`load` must refuse with one short sentence that has these parts, before it takes memory."""
    with little_memory(), pytest.raises(ValueError, match=".") as error:
        load()
    message = str(error.value)
    assert type(error.value) is ValueError, repr(error.value)
    assert "\n" not in message, message
    assert len(message.split()) <= WORDS, message
    for part in parts:
        assert part in message, message


NAN, INF = torch.tensor(float("nan")), torch.tensor(float("inf"))
