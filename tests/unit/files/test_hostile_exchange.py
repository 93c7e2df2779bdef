"""Small files that people exchange, made to do harm: tokens, attributes, pictures with codes."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.unit.hostile_files import change_header, refused
from tokenopt_core.files.small import read_tensors
from tokenopt_core.tokenizers.fingerprint import fingerprint
from tokenopt_core.tokens.files import ATTRIBUTE, TOKENS, load_attribute, load_tokens, save_tokens


@pytest.fixture
def file(tokenizer, tmp_path):
    """Sound tokens to spoil."""
    path = tmp_path / "x.tokens.safetensors"
    save_tokens(path, tokenizer, torch.rand(2, 6, 12), False, "tiny")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["features"].update(shape=[10**9, 6, 12]),
        lambda h: h["features"].update(data_offsets=[0, 2**50]),
        lambda h: h["features"].update(dtype="F9"),
        lambda h: h.update(__metadata__={"format": 3}),
        lambda h: h.update(more=h["features"]),
        lambda h: h["__metadata__"].update(format="[" * 10**5),
        lambda h: h["__metadata__"].update(version="9" * 10**5),
        lambda h: h["__metadata__"].update(fingerprint="0" * 10**5, tokenizer="t" * 10**5),
        lambda h: h["__metadata__"].update(fingerprint="\ud800"),
    ],
)
def test_a_header_of_tokens(file, tokenizer, change):
    change_header(file, change)
    refused(lambda: load_tokens(file, tokenizer, "tiny"), "x.tokens.safetensors")


@pytest.mark.parametrize("size", [2**60, 2**64 - 1, 10**7])
def test_the_size_of_a_header(file, tokenizer, size):
    file.write_bytes(struct.pack("<Q", size) + file.read_bytes()[8:])
    refused(lambda: load_tokens(file, tokenizer, "tiny"), "damaged")


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "x.tokens.safetensors"
    with path.open("wb") as opened:
        opened.truncate(2**34)  # a hole: no place on the disk
    refused(lambda: read_tensors(path), "has 16384 MiB")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("codes", torch.full((1, 6), 64, dtype=torch.int32)),
        ("codes", torch.full((1, 6), -1, dtype=torch.int32)),
        ("codes", torch.zeros(1, 6)),
        ("tokens", torch.full((1, 6, 12), float("nan"))),
        ("features", torch.zeros(1, 6, 12, dtype=torch.float16)),
        ("features", torch.zeros(0, 6, 12)),
        ("else", torch.zeros(1, 6, 12)),
    ],
)
def test_tokens_that_are_none(tmp_path, tokenizer, name, tensor):
    path = tmp_path / "x.tokens.safetensors"
    facts = {"format": TOKENS.format, "version": "1", "tokenizer": "tiny"}
    save_file({name: tensor}, path, facts | {"fingerprint": fingerprint(tokenizer).hex()})
    refused(lambda: load_tokens(path, tokenizer, "tiny"), "x.tokens.safetensors", name)


@pytest.mark.parametrize(
    "details",
    ["[" * 10**5, "{}", "null", '{"positions": 5}', '{"positions": [1e999]}', "\0", "9" * 10**5],
)
def test_details_of_an_attribute(tmp_path, tokenizer, details):
    path = tmp_path / "x.attribute.safetensors"
    tensors = {"difference": torch.zeros(6, 12), "shares": torch.zeros(6)}
    save_file(tensors, path, {"format": ATTRIBUTE.format, "version": "1", "details": details})
    refused(lambda: load_attribute(path, tokenizer, "tiny"), "damaged attribute")


def test_a_picture_whose_text_is_a_bomb(tmp_path):
    """What Tokens of a Saved Image relies on: Pillow unpacks no more than a megabyte of text."""
    path = tmp_path / "bomb.png"
    Image.new("RGB", (4, 4)).save(path)
    content = path.read_bytes()
    head, rest = content[:33], content[33:]  # the signature and the header chunk
    packed = zlib.compress(bytes(80 * 2**20), 9)
    for kind, between in ((b"zTXt", b"\0\0"), (b"iTXt", b"\0\1\0\0\0")):
        body = b"tokenopt_codes" + between + packed
        chunk = struct.pack(">I", len(body)) + kind + body
        chunk += struct.pack(">I", zlib.crc32(kind + body))
        path.write_bytes(head + chunk + rest)

        def look():
            with Image.open(path) as opened:
                return json.dumps(opened.info)

        refused(look, "too large")
