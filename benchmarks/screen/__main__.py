"""Measures how often a partial code search holds the best code, and what a search costs.

python -m benchmarks.screen                    all cases that are not there yet, then the page
python -m benchmarks.screen --models demo --images 2

Writes docs/science/screen.md. A case is one position of one image: every code of the tokenizer (a
random part of them for the large one) is decoded once and its losses are kept in benchmarks/runs,
one file for each image. The methods are then compared on these losses.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tokenopt_core import ClipLoss, Tokenizer, load_guide, load_tokenizer
from tokenopt_core.demo import caption, render, sample
from tokenopt_core.tokenizers import build_tokenizer
from tokenopt_core.tokenizers.registry import RELEASES
from training.attention import plain_attention

from .. import command
from . import page
from .methods import Case

SEED = 4242
BATCH = 16
LARGE_SIZE, LARGE_CODES, LARGE_IMAGES, LARGE_SEED = 64, 1024, 8, 90_210


class Model(NamedTuple):
    """What is searched.

    Args:
        images: codes (b, n) of the images.
        prompts: what the CLIP loss asks for, one per image; none without a guide.
        positions: of each image.
        pool: codes (m,) that take part.
    """

    tokenizer: Tokenizer
    images: Tensor
    prompts: list[str]
    positions: list[int]
    pool: Tensor


def demo(count: int) -> Model:
    """The demo tokenizer on fresh scenes; CLIP asks for another scene."""
    tokenizer = load_tokenizer("demo").requires_grad_(False)
    scenes, others = sample(count, SEED), sample(count, SEED + 1)
    with torch.no_grad():
        codes = tokenizer.quantize(tokenizer.encode(render(scenes, SEED))).codes
    spec = tokenizer.spec
    pool = torch.arange(spec.codebook_size)
    return Model(tokenizer, codes, caption(others), list(range(spec.num_tokens)), pool)


def large(count: int) -> Model:
    """TiTok-L-32 with random weights, all of its layers and widths, for 64 x 64 pixels."""
    spec = RELEASES["titok-l32"].spec
    spec = replace(spec, name="random-l32", image_size=LARGE_SIZE)
    torch.manual_seed(LARGE_SEED)
    tokenizer = build_tokenizer(spec).eval().requires_grad_(False)
    codes = torch.randint(spec.codebook_size, (LARGE_IMAGES, spec.num_tokens))
    codes = codes[: 2 * count]  # of fewer positions each
    pool = torch.randperm(spec.codebook_size)[:LARGE_CODES].sort().values
    return Model(tokenizer, codes, [], [0, 17], pool)


MODELS = {"demo": demo, "random-l32": large}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing and writes the page."""
    options = _parse(arguments)
    cases = {}
    for name in options.models:
        model = MODELS[name](options.images)
        cases[name] = list(_cases(name, model, options.cache))
    text = page.write(cases, page.measure_floor(load_tokenizer("demo"), BATCH))
    options.out.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _cases(name: str, model: Model, folder: Path) -> Iterator[Case]:
    """Every case, measured or read."""
    for image, codes in enumerate(model.images):
        path = folder / f"screen-{name}-{image}-{_digest(model, image)}.safetensors"
        if path.is_file():
            tables = load_file(path)
        else:
            tables = _measure(model, image)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tables, path)
            print(path.name, file=sys.stderr, flush=True)
        for row, position in enumerate(model.positions):
            losses = {kind: table[row] for kind, table in tables.items()}
            yield Case(model.tokenizer, codes, position, model.pool, losses)


@torch.no_grad()
def _measure(model: Model, image: int) -> dict[str, Tensor]:
    """Loss by kind (positions, codes) of all codes of the pool, decoded in bfloat16."""
    entries = model.tokenizer.quantize.codebook()
    tokenizer = model.tokenizer.cast(torch.bfloat16)
    tokens = tokenizer.lookup(model.images[image][None])
    losses = {}
    if model.prompts:
        clip = ClipLoss(load_guide("demo"), model.prompts[image], crops=0)
        losses["clip"] = clip.cast(torch.bfloat16)
    with plain_attention():
        original = tokenizer.decode(tokens).clamp(0, 1)
        tables: dict[str, list[Tensor]] = {}
        for position in model.positions:
            row: dict[str, list[Tensor]] = {}
            for chunk in model.pool.split(BATCH):
                edited = tokens.repeat(len(chunk), 1, 1)
                edited[:, position] = entries[chunk]
                images = tokenizer.decode(edited).clamp(0, 1)
                row.setdefault("l1", []).append((images - original).abs().mean((1, 2, 3)))
                for kind, loss in losses.items():
                    row.setdefault(kind, []).append(loss(images).float())
            for kind, values in row.items():
                tables.setdefault(kind, []).append(torch.cat(values))
    return {kind: torch.stack(rows) for kind, rows in tables.items()}


def _digest(model: Model, image: int) -> str:
    """A name for weights, image and codes."""
    digest = hashlib.sha256()
    first = next(model.tokenizer.decoder.parameters())
    for tensor in (first, model.tokenizer.quantize.codebook(), model.images[image], model.pool):
        digest.update(tensor.detach().numpy().tobytes())
    return digest.hexdigest()[:12]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("screen", __doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="which")
    parser.add_argument("--images", type=int, default=4, help="images of each model")
    parser.add_argument("--cache", type=Path, default=command.RUNS, help="folder of losses")
    parser.add_argument("--out", type=Path, default=command.SCIENCE / "screen.md", help="the page")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
