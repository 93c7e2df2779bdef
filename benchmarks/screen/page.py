"""The page docs/science/screen.md: tables of hits, and the cost of a search beside its decodes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tokenopt_core import Tokenizer
from tokenopt_core.study.perturb import SearchConfig, perturb_search

from ..markdown import table
from ..stats import mean, share_text
from .methods import SCORES, Case, guided

SHARES = (0.01, 0.05, 0.10)
REPEATS = 3
_TITLES = {
    "demo": "Demo tokenizer, all {codes} codes",
    "random-l32": "TiTok-L-32 with random weights at 64 x 64 pixels, {codes} of its 4096 codes",
}
_KINDS = {
    "l1": "L1 to the original, maximized.",
    "clip": "The demo CLIP's loss for another scene, minimized (whole image, no crops).",
}
_HEAD = """# How often a share of the codes holds the best

Written by `benchmarks/screen`. Token Perturb Search can decode every code of a position
(exact), or a share of them. A case is one position of one image; all codes were decoded once
(bfloat16), so the best is known. *Holds the best*: how often the best code is among the share that
is decoded, with Wilson's 95 % interval; positions of one image are not independent, so the true
intervals are wider. *Reached*: the best loss among the share, as part of the way from the
original's to the best of all, on average.

- **first order, image change**: the L1 norm of J (code - present code), J the image's derivative
  in the token by finite differences; 12 extra decodes. L1 itself has a kink and no gradient at the
  original.
- **guided**: no gradient: two fifths of the share are codes that lie far apart, the rest is chosen
  in up to 8 rounds by a Gaussian process over the tokens, fitted to the losses so far."""
_DROPPED = """## Dropped

Token Perturb Search once had a method *gradient*: value and gradient of the loss at the original
and at 8 codes that lie far apart, every code predicted by the linear expansions of all of them. It
was measured on the same cases. At shares of 1, 5 and 10 % it held the best code of the demo
tokenizer in 19, 56 and 73 % for L1 (guided: 6, 73 and 84) and in 9, 30 and 45 % for CLIP (guided:
2, 44 and 61), of TiTok-L-32 in 0, 19 and 25 % (guided: 0, 0 and 19, N = 16). At the default share
guided is better on the demo tokenizer, and it needs no gradient: saved workflows that name the old
method run guided. One backward pass alone, from the original or a point beside it, held it in 2, 12
and 27 % for L1 and in 0, 8 and 17 % for CLIP."""


class Floor(NamedTuple):
    """Seconds of exact searches of one position and of their decodes alone, in turns."""

    search: list[float]
    decode: list[float]
    codes: int

    def ratio(self) -> float:
        """The middle one of the ratios."""
        ratios = sorted(a / b for a, b in zip(self.search, self.decode, strict=True))
        return ratios[len(ratios) // 2]


def measure_floor(tokenizer: Tokenizer, batch: int) -> Floor:
    """An exact search of one position against nothing but the same decodes."""
    tokenizer = tokenizer.requires_grad_(False)
    codes = torch.arange(tokenizer.spec.num_tokens)[None]
    config = SearchConfig(batch=batch)
    search, decode = [], []
    count = tokenizer.spec.codebook_size
    tokens = tokenizer.lookup(codes).repeat(batch, 1, 1)
    for _ in range(REPEATS):
        started = time.perf_counter()
        list(perturb_search(tokenizer, codes, [0], config))
        search.append(time.perf_counter() - started)
        started = time.perf_counter()
        with torch.no_grad():
            for _ in range(count // batch):
                tokenizer.decode(tokens)
        decode.append(time.perf_counter() - started)
    return Floor(search, decode, count)


def write(cases: dict[str, Sequence[Case]], floor: Floor) -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for name, known in cases.items():
        if not known:
            continue
        parts.append(f"## {_TITLES[name].format(codes=len(known[0].pool))}")
        for kind in known[0].losses:
            parts.append(f"{_KINDS[kind]} N = {len(known)}.")
            parts.append(_table(known, kind))
    parts.append(
        "## What a search costs beside its decodes\n\n"
        f"An exact search of one position of the demo tokenizer ({floor.codes} codes, float32, "
        f"one CPU thread) took {floor.ratio():.2f} times as long as the same decodes alone "
        f"(the middle one of {REPEATS} runs in turns; "
        f"{1000 * min(floor.decode) / floor.codes:.1f} ms per decode at best)."
    )
    parts.append(_DROPPED)
    return "\n\n".join(parts) + "\n"


def _table(cases: Sequence[Case], kind: str) -> str:
    head = ["method"]
    for share in SHARES:
        head += [f"{100 * share:.0f} %: holds the best, %", "reached, %"]
    rows = []
    for method in (*SCORES, "guided"):
        if method == "first order, image change" and kind != "l1":
            continue
        hits: dict[float, list[bool]] = {share: [] for share in SHARES}
        reached: dict[float, list[float]] = {share: [] for share in SHARES}
        for case in cases:
            good, start = case.goodness(kind), _start(case, kind)
            order = None if method == "guided" else _order(case, kind, method)
            for share in SHARES:
                budget = max(2, round(share * len(good)))
                chosen = guided(case, kind, budget) if order is None else order[:budget]
                best, whole = good[chosen].max(), good.max()
                hits[share].append(bool(best == whole))
                reached[share].append(100 * ((best - start) / (whole - start)).item())
        row = [method]
        for share in SHARES:
            row += [share_text(hits[share]), f"{mean(reached[share])[0]:.0f}"]
        rows.append(row)
    return table(head, rows)


def _order(case: Case, kind: str, method: str) -> Tensor:
    scores = SCORES[method](case, kind)
    scores = scores.masked_fill(case.pool == case.codes[case.position], -torch.inf)
    return scores.argsort(descending=True)


def _start(case: Case, kind: str) -> Tensor:
    """The goodness of the original: 0 for L1, otherwise of the present code, or the worst."""
    if kind == "l1":
        return torch.zeros(())
    values = -case.losses[kind]
    present = case.pool == case.codes[case.position]
    return values[present].max() if present.any() else values.min()
