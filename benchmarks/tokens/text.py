"""Sentences of docs/science/tokens.md; every figure in them comes from tokens.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]

TITLES = {"shipped": "The shipped tokenizer", "plain": "The same, trained plainly"}

READING = """## How to read the tables

- **Scenes** come from seeds that nothing else uses; positions are chosen on some, measured on
  others. A pair is a target and a reference whose reconstructions the judge sees as valid scenes
  with all eight attributes right; they differ in the attribute, and in whatever else chance
  gives. Within a cell no scene is twice a target or twice a reference.
- **changed**: after the copy the judge sees the reference's value. **other seven kept**: share of
  the target's other attributes that are still there. **still a scene**: the judge calls the
  picture a scene of this world at all.
- **eq. 1**: the position whose class means vary most (arXiv 2506.08257, section 3.1), as a share
  of all variance at that position; with the true classes, and with CLIP's partition between
  captions that name nothing but the attribute (what the node Token Importance does). **chance**:
  what the best position reaches with shuffled classes, 19 times of 20.
- **best single** and **greedy**: chosen by the sum of *changed* and *kept* on pairs of their own;
  greedy adds up to four positions while the sum grows by 0.01 or more. It is no exhaustive
  search.
- Intervals are 95 %: Wilson's for shares, the normal approximation (±) for means.

Run it again with `python -m benchmarks.tokens` (shipped weights) and `--tokenizer FOLDER
--label plain`. The plain weights are not shipped: they are what training without the stage
`tokenizer-exchange` ends with."""


def head(known: Mapping[str, Figures]) -> str:
    """Title, question, and the answer in short."""
    lines = [
        "# What one token carries",
        "",
        "Written by `python -m benchmarks.tokens`; do not edit.",
        "",
        "The paper (arXiv 2506.08257, section 3.1) finds that single tokens of TiTok-L-32 carry "
        "single properties: copy one token to another image, and its lighting or blur comes along. "
        "Here the same is tried on the demo tokenizer, where a judge that no model was trained "
        "with says what changed and what was kept.",
        "",
        "## In short",
        "",
    ]
    if "plain" in known:
        lines += _plain(known["plain"])
    if "shipped" in known:
        lines += _shipped(known["shipped"])
    return "\n".join(lines)


def facts(figures: Figures) -> str:
    """How the figures came about."""
    choosing = figures["choosing"]
    return (
        f"Weights {figures['weights'][:10]} (SHA-256). {figures['scenes']} scenes, of which "
        f"{100 * figures['well_reconstructed']:.0f} % are well reconstructed; up to "
        f"{figures['n']} pairs for each change. Positions were chosen on {choosing['scenes']} "
        f"other scenes, by {choosing['pairs']} pairs for each set that was tried."
    )


def _plain(figures: Figures) -> list[str]:
    lines = [
        "- **Trained plainly, the demo tokenizer is not disentangled like the paper's L-32.** "
        "Equation 1 names positions, well above chance, but the named one alone does not do it: "
        + _list(figures, "eq. 1")
        + ". What goes with a property in the statistics need not cause it alone.",
        "- The properties are there, spread over several tokens: the greedy sets give "
        + _list(figures, "greedy")
        + ".",
    ]
    same = [name for name, c in figures["choices"].items() if c["by_class"] == c["by_clip"]]
    lines.append(
        f"- CLIP's partition leads equation 1 to the same position as the true classes for "
        f"{len(same)} of {len(figures['choices'])} attributes."
    )
    return lines


def _shipped(figures: Figures) -> list[str]:
    return [
        "- **The shipped tokenizer was taught it.** A last stage of training "
        "(`training/exchange.py`) replaces one token of a scene by another scene's and asks the "
        "decoder for the first scene in the second one's light, or focus. The released tokenizers "
        "never had such supervision. Its position for each, found by Token Importance with CLIP's "
        "partition, gives " + _list(figures, "eq. 1 by CLIP") + ".",
        "- So in this small world, compression to 16 tokens did not by itself put properties into "
        "single tokens; supervision did. That says nothing about L-32 itself: it is larger, holds "
        "8 times as many pixels in a token, and was trained on photographs. A feasibility study "
        "before this repository had a tokenizer of 512 codes with lighting and blur in one token "
        "each, untaught; whether its smaller codebook, its shorter training or chance made it so "
        "was not separated, and fewer tokens were not tried.",
    ]


def _list(figures: Figures, way: str) -> str:
    """Such as "bright → dark 2 % (token 6), ...", for lighting and focus."""
    cells = [c for c in figures["cells"] if c["attribute"] in ("light", "focus")]
    return ", ".join(
        f"{c['change']} {100 * c['changed'] / c['n']:.0f} % ({_tokens(c['positions'])})"
        for c in cells
        if way in c["ways"]
    )


def _tokens(positions: Sequence[int]) -> str:
    return f"token{'s' if len(positions) > 1 else ''} {', '.join(map(str, positions))}"
