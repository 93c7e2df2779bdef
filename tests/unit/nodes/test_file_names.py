"""Names that a workflow gives for files: which may be joined to a folder, on which system.

The rule is plain text work, so that Windows' traps are tested everywhere; nodes/ can only be
imported inside ComfyUI, hence the file is loaded by its path.
"""

from __future__ import annotations

from datetime import datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).parents[3] / "nodes" / "host" / "file_names.py"
spec = spec_from_file_location("file_names", FILE)
module = module_from_spec(spec)
spec.loader.exec_module(module)
stays_inside, dated = module.stays_inside, module.dated

OUTSIDE = [
    "..",
    "../x",
    "a/../../x",
    "a\\..\\x",
    "/etc/passwd",
    "//server/share/x",
    "\\\\server\\share\\x",
    "\\\\?\\C:\\x",
    "\\x",
    "C:\\x",
    "C:/x",
    "C:x",
    "a\0b",
    "a\nb",
    "\ud800",
    ".. /x",
    "a/... /x",
    " ",
    None,
    3,
    ["a"],
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("windows", [False, True])
def test_what_may_lead_elsewhere(name, windows):
    assert not stays_inside(name, windows)


@pytest.mark.parametrize("name", ["CON", "a/nul.png", "aux", "COM1.txt", "lpt9/x", "x.png:stream"])
def test_devices_and_streams_are_names_elsewhere(name):
    assert not stays_inside(name, windows=True)
    assert stays_inside(name, windows=False)


@pytest.mark.parametrize(
    "name", ["", ".", "a", "a/b.png", "photos etc.", "./a", "a//b", "été/画像.png", "console.png"]
)
def test_what_is_fine_everywhere(name):
    assert stays_inside(name, windows=True)
    assert stays_inside(name, windows=False)


PARTS = st.sampled_from(["..", ".", "a", " ", "", "CON", "C:", "~", ". ", "b.c", "\\", "/", ":"])


@given(st.lists(PARTS, max_size=6), st.sampled_from(["/", "\\"]))
def test_no_accepted_name_leaves_a_folder_on_any_system(parts, slash):
    name = slash.join(parts)
    if stays_inside(name, windows=True):
        for flavour, base in ((PurePosixPath, "/base"), (PureWindowsPath, "D:\\base")):
            joined = flavour(base) / name
            assert joined.is_relative_to(base)
            assert ".." not in joined.parts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("%date:yyyy-MM-dd%/a", "2026-03-07/a"),
        ("a_%date:yy_M_d%_%date:h-m-s%", "a_26_3_7_4-5-9"),
        ("%date:hh:mm:ss%", "04_05_09"),  # Windows takes no colon
        ("%date:yyyy/MM\\dd%", "2026/03\\07"),
        ("%year%_100%_%width%", "%year%_100%_%width%"),  # ComfyUI's own, and nobody's
        ("%date:%", "%date:%"),
        ("date:yyyy", "date:yyyy"),
        (3, 3),
    ],
)
def test_dates_are_filled_in_as_the_page_does_it(name, expected):
    assert dated(name, datetime(2026, 3, 7, 4, 5, 9)) == expected
