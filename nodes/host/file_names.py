"""Safe file names: which ones may be joined to a folder, decided by their text alone.

The disk must not be asked first. On Windows a mere look at `//server/share` tells that server who
one is, and a look at `CON` waits for a keyboard. Names that mean another place on one system are
refused on all, so that a workflow does the same everywhere.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath

_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
_DEVICES |= {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, halves of characters
_DATE = re.compile(r"%date:([^%]+)%")
_DATE_PART = re.compile(r"dd?|MM?|hh?|mm?|ss?|yyy?y?")
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')  # slashes of a date make folders


def dated(name: object, now: datetime | None = None) -> object:
    """The name with %date:yyyy-MM-dd% and the like filled in, as ComfyUI's page does it.

    The page does so for what is typed into a node there; a name that comes by a link or from a
    program arrives as it was written. What no disk takes becomes a _, as in hh:mm.

    Args:
        now: the time to write; None is now.
    """
    if not isinstance(name, str):
        return name  # refused later, by its own message
    now = now or datetime.now()
    values = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}
    years = {"yy": f"{now.year % 100:02}", "yyyy": str(now.year)}

    def part(match: re.Match) -> str:
        letters = match[0]
        if letters[0] in values:
            return str(values[letters[0]]).zfill(len(letters))
        return years.get(letters, letters)

    def date(match: re.Match) -> str:
        return _NOT_ON_WINDOWS.sub("_", _DATE_PART.sub(part, match[1]))

    return _DATE.sub(date, name)


def stays_inside(name: object, windows: bool = os.name == "nt") -> bool:
    """Whether FOLDER/name can only be a place below FOLDER, links on the disk aside.

    Args:
        windows: refuse also what is an ordinary name on other systems: devices and file streams.
    """
    if not isinstance(name, str) or _UNFIT.search(name):
        return False
    if PurePosixPath(name).anchor or PureWindowsPath(name).anchor or PureWindowsPath(name).drive:
        return False
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    if any(not part.strip(" .") for part in parts):  # "..", and what Windows shortens to it
        return False
    return not windows or not any(":" in part or _device(part) for part in parts)


def _device(part: str) -> bool:
    return part.split(".")[0].rstrip(" ").upper() in _DEVICES
