"""Quotations in messages: what the log can write stays as it is."""

from __future__ import annotations

import io
import sys

import pytest

from tokenopt_core.checks import writable

TEXT = "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{CJK UNIFIED IDEOGRAPH-732B} \N{FOX FACE}"


@pytest.mark.parametrize(
    ("output", "errors", "told"),
    [
        ("utf-8", "utf-8", TEXT),
        ("gbk", "gbk", TEXT[:-1] + "\\U0001f98a"),
        ("utf-8", "cp1252", TEXT[:5] + "\\u732b \\U0001f98a"),
        ("ascii", "utf-8", "caf\\xe9 \\u732b \\U0001f98a"),
    ],
)
def test_letters_that_an_output_lacks_become_escapes(monkeypatch, output, errors, told):
    for name, encoding in (("stdout", output), ("stderr", errors)):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert writable(TEXT) == told
    for stream in (sys.stdout, sys.stderr):
        stream.write(writable(TEXT))
        stream.flush()


def test_without_an_output_nothing_changes(monkeypatch):
    """As in a program with windows."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert writable(TEXT) == TEXT
