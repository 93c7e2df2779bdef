"""What Attribute Vector and its files say about an attribute."""

from __future__ import annotations

from ...tokenopt_core.tokens.attributes import Attribute

SHOWN = 4  # positions in a note


def table(attribute: Attribute) -> str:
    """One line per position, the one that tells the two sets apart best first."""
    gaps = attribute.difference.norm(dim=-1).tolist()
    lines = ["position  share  difference  used"]
    for p in attribute.strongest():
        used = "yes" if p in attribute.positions else "no"
        lines.append(f"{p:<8}  {_percent(attribute, p):<5}  {gaps[p]:<10.2f}  {used}")
    return "\n".join(lines)


def notes(attribute: Attribute) -> list[str]:
    """What the attribute is, and a warning where it is made of too little."""
    (some, others), (with_, without) = attribute.counts, attribute.names
    best = ", ".join(f"{p} ({_percent(attribute, p)})" for p in attribute.strongest()[:SHOWN])
    used = len(attribute.positions)
    told = [
        f"{with_} ({_images(some)}) minus {without} ({_images(others)})\n"
        f"added at {used} of {len(attribute.shares)} positions\n"
        f"tells the sets apart best at {best}"
    ]
    if some == others == 1:
        told[0] = told[0].rsplit("\n", 1)[0]  # without a spread the shares say nothing
        told.append(
            "From one image each: the vector holds everything in which the two images differ. "
            "With more images in each set it comes down to what they have in common."
        )
    elif min(some, others) == 1:
        told.append(
            "One set is a single image: whatever is peculiar to that image is part of the vector."
        )
    return told


def _percent(attribute: Attribute, position: int) -> str:
    return f"{100 * attribute.shares[position].item():.0f} %"


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"
