"""Reports of an attribute: the table of its positions, and notes."""

from __future__ import annotations

from ...tokenopt_core.tokens.attributes import Attribute
from ..report.words import counted, percent, plain_table

SHOWN = 4  # positions in a note


def table(attribute: Attribute) -> str:
    """One line per position, the one that tells the two sets apart best first."""
    lengths, shares = attribute.difference.norm(dim=-1).tolist(), attribute.shares.tolist()
    rows = [["position", "share", "difference", "used"]]
    for p in attribute.strongest():
        used = "yes" if p in attribute.positions else "no"
        rows.append([str(p), percent(shares[p]), f"{lengths[p]:.2f}", used])
    return plain_table(rows)


def notes(attribute: Attribute) -> list[str]:
    """What the attribute is, and a warning where it is made of too little."""
    (some, others), (with_, without) = attribute.counts, attribute.names
    used, shares = len(attribute.positions), attribute.shares.tolist()
    lines = [
        f"{with_} ({counted(some, 'image')}) minus {without} ({counted(others, 'image')})",
        f"added at {used} of {len(shares)} positions",
    ]
    if max(some, others) > 1:  # without a spread the shares say nothing
        strongest = attribute.strongest()[:SHOWN]
        best = ", ".join(f"{p} ({percent(shares[p])})" for p in strongest)
        lines.append(f"tells the sets apart best at {best}")
    remarks = ["\n".join(lines)]
    if some == others == 1:
        remarks.append(
            "From one image each: the vector holds everything in which the two images differ. "
            "With more images in each set it comes down to what they have in common."
        )
    elif min(some, others) == 1:
        remarks.append(
            "One set is a single image: whatever is peculiar to that image is part of the vector."
        )
    return remarks
