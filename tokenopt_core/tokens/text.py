"""Images as short texts: the codes of their tokens, packed, with a tag and a check sum.

One line per image, `tok1.NAME.PAYLOAD`. NAME is the tokenizer's, for people. PAYLOAD is base64url
without padding of: 4 bytes of the tokenizer's fingerprint; the codes in their order, each as
ceil(log2(codebook size)) bits, the first code in the highest bits, filled up with zeros to whole
bytes; the CRC-32, big endian, of `tok1.NAME.` and all bytes before it. 32 codes of 12 bits make
48 + 8 bytes, 75 characters.

Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib

import torch
from torch import Tensor

from ..checks import shortened
from ..tokenizers import Tokenizer, TokenizerSpec
from ..tokenizers.fingerprint import fingerprint, other_tokenizer

VERSION = 1
TAG_BYTES = 4
LONGEST_NAME = 40
_LINE = re.compile(r"tok([0-9]{1,3})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_ROUNDING = 1e-4  # distance of a token from its entry that rounding does not explain


def exact_codes(tokenizer: Tokenizer, tokens: Tensor, quantized: bool) -> Tensor:
    """Codes (b, n) that decode to the same images as `tokens` (b, n, d).

    Args:
        quantized: tokens are decoded as they are, so they must be entries of the codebook;
            otherwise they are features, which a decoder rounds to the nearest.

    Raises:
        ValueError: the tokenizer has no codes, or no codes give these images.
    """
    _bits(tokenizer.spec)
    if not tokens.isfinite().all():
        raise ValueError(
            "tokens contain NaN or infinite numbers, so no codes give their images; look for the "
            "node before this one that makes them."
        )
    tokens = tokens.to(tokenizer.weights_device)
    codes = tokenizer.quantize(tokens).codes
    if quantized and (tokenizer.lookup(codes) - tokens).abs().max() > _ROUNDING:
        raise ValueError(
            "tokens lie between the codes, because they were made with quantize off; put a TiTok "
            "Quantize node before this one, which takes the nearest codes and changes the image."
        )
    return codes


def codes_to_text(tokenizer: Tokenizer, codes: Tensor, name: str) -> str:
    """One line for each image of codes (b, n).

    Args:
        name: of the tokenizer, shown in the text.

    Raises:
        ValueError: the tokenizer has no codes.
    """
    bits, tag = _bits(tokenizer.spec), fingerprint(tokenizer)[:TAG_BYTES]
    head = f"tok{VERSION}.{_as_word(name)}."
    return "\n".join(_line(head, tag + _pack(row, bits)) for row in codes.tolist())


def text_to_codes(tokenizer: Tokenizer, text: str, name: str) -> Tensor:
    """Codes (b, n) of a text with one line per image; white space around lines is ignored.

    Args:
        name: of the tokenizer, for messages.

    Raises:
        ValueError: a line is damaged or belongs to another tokenizer.
    """
    spec = tokenizer.spec
    bits, tag = _bits(spec), fingerprint(tokenizer)[:TAG_BYTES]
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        raise ValueError(
            f"text is empty, expected one line for each image that starts with 'tok{VERSION}.'; "
            "paste what Tokens to Text gave."
        )
    rows = []
    for number, line in enumerate(lines, 1):
        made_with, line_tag, packed = _read(line, f"line {number} of text" if lines[1:] else "text")
        if line_tag != tag:
            former = name if made_with == _as_word(name) else made_with
            raise ValueError(other_tokenizer("text", former, name))
        rows.append(_unpack(packed, bits, spec))
    return torch.tensor(rows)


def _bits(spec: TokenizerSpec) -> int:
    """Of one code."""
    if spec.codebook_size is None:
        raise ValueError(
            f"tokenizer {spec.name!r} is a VAE, which has no codes to write as text; save its "
            "tokens to a file with Save Tokens."
        )
    return max(1, (spec.codebook_size - 1).bit_length())


def _as_word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:LONGEST_NAME] or "-"


def _line(head: str, content: bytes) -> str:
    checked = content + zlib.crc32(head.encode() + content).to_bytes(4, "big")
    return head + base64.urlsafe_b64encode(checked).decode().rstrip("=")


def _read(line: str, where: str) -> tuple[str, bytes, bytes]:
    """Name, tag and packed codes of a line whose check sum is right."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(
            f"{where} is {shortened(line)!r}, expected a line such as 'tok{VERSION}.demo.' and "
            "letters; copy what Tokens to Text gave, whole and unchanged."
        )
    if int(match[1]) != VERSION:
        raise ValueError(
            f"{where} has version {int(match[1])}, expected {VERSION}; it was probably written by "
            "a newer TokenOpt: update the pack."
        )
    try:
        content = base64.urlsafe_b64decode(match[3] + "=" * (-len(match[3]) % 4))[:-4]
    except binascii.Error:  # no number of bytes has so many characters
        content = b""
    if _line(line[: match.start(3)], content) != line:
        raise ValueError(
            f"{where} is damaged: its check sum does not fit {shortened(line)!r}; a character was "
            "changed or is missing: copy the line again, whole."
        )
    return match[2], content[:TAG_BYTES], content[TAG_BYTES:]


def _pack(codes: list[int], bits: int) -> bytes:
    number = 0
    for code in codes:
        number = number << bits | code
    size = -(-bits * len(codes) // 8)
    return (number << (8 * size - bits * len(codes))).to_bytes(size, "big")


def _unpack(packed: bytes, bits: int, spec: TokenizerSpec) -> list[int]:
    """The codes; raises ValueError for what `_pack` cannot have made."""
    used = bits * spec.num_tokens
    number, spare = divmod(int.from_bytes(packed, "big"), 1 << max(0, 8 * len(packed) - used))
    places = range(used - bits, -1, -bits)
    codes = [number >> place & ((1 << bits) - 1) for place in places]
    if len(packed) != -(-used // 8) or spare or max(codes) >= spec.codebook_size:
        raise ValueError(
            f"text holds {len(packed)} bytes of codes that do not fit, expected {spec.num_tokens} "
            f"codes from 0 to {spec.codebook_size - 1}; copy what Tokens to Text gave."
        )
    return codes
