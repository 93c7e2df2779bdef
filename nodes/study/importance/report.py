"""What Token Importance shows: a bar chart for each partition, and the table of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....tokenopt_core.study.importance import Importance, Responses
from ...report.bars import Bars, draw_bars

FEW = 8  # images of a class; with fewer the statistics are rough


@dataclass(frozen=True)
class Partition:
    """Images told apart by texts.

    Args:
        prompts: one for each class.
        texts: where they are among all texts.
        found: what the images say.
    """

    prompts: tuple[str, ...]
    texts: slice
    found: Importance

    @property
    def name(self) -> str:
        return " / ".join(self.prompts)

    def sizes(self) -> str:
        """Such as "bright 31, dark 33"."""
        pairs = zip(self.prompts, self.found.counts, strict=True)
        return ", ".join(f"{prompt} {count}" for prompt, count in pairs)


def charts(
    partitions: Sequence[Partition], seen: Responses | None, effect: str, best: int
) -> Tensor:
    """One picture for each partition, (p, 3, h, w) in [0, 1]."""
    pictures = []
    for part in partitions:
        chance = part.found.chance
        name = "importance: share of a token's variance that lies between the classes"
        panels = [Bars(name, part.found.scores.tolist(), chance, "chance")]
        foot = "marked: the most important"
        if seen is not None:
            by = "the images' mean" if effect == "mean" else "random codes"
            changed, _ = seen.class_changes(part.texts)
            name = f"images whose class changes when the token is replaced by {by}"
            panels.append(Bars(name, changed.tolist(), percent=True))
            panels.append(Bars("how much that changes the image", seen.change.tolist()))
        picture = draw_bars(
            panels, title=f"Images: {part.sizes()}", foot=foot, marked=part.found.best(best)
        )
        pictures.append(torch.from_numpy(np.asarray(picture).copy()))
    return torch.stack(pictures).movedim(3, 1).float() / 255


def table(partitions: Sequence[Partition], seen: Responses | None) -> str:
    """One line for each position, below a head; each partition has its own columns."""
    head, columns = ["position"], [[str(k) for k in range(len(partitions[0].found.scores))]]
    for part in partitions:
        head.append(part.name)
        columns.append([f"{score:.3f}" for score in part.found.scores.tolist()])
        if seen is not None:
            changed, drop = seen.class_changes(part.texts)
            head += ["class changes", "similarity drops"]
            columns.append([f"{100 * share:.0f} %" for share in changed.tolist()])
            columns.append([f"{value:.3f}" for value in drop.tolist()])
    if seen is not None:
        head.append("image changes")
        columns.append([f"{value:.4f}" for value in seen.change.tolist()])
    rows = [head, *zip(*columns, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def positions_text(partitions: Sequence[Partition], best: int) -> str:
    """The best positions of all partitions, such as "6, 15", the most important first."""
    found = dict.fromkeys(k for part in partitions for k in part.found.best(best))
    return ", ".join(map(str, found))


def notes(partitions: Sequence[Partition], skipped: Sequence[str], best: int) -> list[str]:
    """Sentences for the user: class sizes, positions that chance explains, files left out."""
    lines = []
    for part in partitions:
        lines.append(f"{part.sizes()}: position {', '.join(map(str, part.found.best(best)))}")
        weak = [k for k in part.found.best(best) if part.found.scores[k] <= part.found.chance]
        if weak:
            lines.append(
                f"{part.name}: position {', '.join(map(str, weak))} is not above chance "
                f"({part.found.chance:.3f}); more images tell more"
            )
        if min(part.found.counts) < FEW:
            lines.append(
                f"{part.name}: a class has only {min(part.found.counts)} images; with fewer than "
                f"{FEW} the figures are rough"
            )
    if skipped:
        lines.append(f"{len(skipped)} files left out: {skipped[0]}")
    return lines
