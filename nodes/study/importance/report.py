"""Reports of Token Importance: a bar chart for each partition, the table of figures, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ....tokenopt_core.study.importance import Importance, Responses
from ...host.images import from_pil
from ...report.bars import Bars, draw_bars
from ...report.words import counted, percent, plain_table

FEW = 8  # images of a class; with fewer the statistics are rough


@dataclass(frozen=True)
class Partition:
    """Images told apart by texts.

    Args:
        prompts: one for each class.
        texts: where they are among all texts.
        statistics: of the images' tokens.
    """

    prompts: tuple[str, ...]
    texts: slice
    statistics: Importance

    @property
    def name(self) -> str:
        return " / ".join(self.prompts)

    def sizes(self) -> str:
        """Such as "bright 31, dark 33"."""
        pairs = zip(self.prompts, self.statistics.counts, strict=True)
        return ", ".join(f"{prompt} {count}" for prompt, count in pairs)


def charts(
    partitions: Sequence[Partition], responses: Responses | None, effect: str, best: int
) -> Tensor:
    """One chart for each partition, (p, 3, h, w) in [0, 1]."""
    drawn = []
    for part in partitions:
        chance = part.statistics.chance
        name = "importance: share of a token's variance that lies between the classes"
        panels = [Bars(name, part.statistics.scores.tolist(), chance, "chance")]
        foot = "marked: the most important"
        if responses is not None:
            by = "the images' mean" if effect == "mean" else "random codes"
            changed, _ = responses.class_changes(part.texts)
            name = f"images whose class changes when the token is replaced by {by}"
            panels.append(Bars(name, changed.tolist(), percent=True))
            panels.append(Bars("how much that changes the image", responses.change.tolist()))
        title, marked = f"Images: {part.sizes()}", part.statistics.best(best)
        drawn.append(draw_bars(panels, title=title, foot=foot, marked=marked))
    return from_pil(*drawn)


def table(partitions: Sequence[Partition], responses: Responses | None) -> str:
    """One line for each position, below a head; each partition has its own columns."""
    head, columns = ["position"], [[str(k) for k in range(len(partitions[0].statistics.scores))]]
    for part in partitions:
        head.append(part.name)
        columns.append([f"{score:.3f}" for score in part.statistics.scores.tolist()])
        if responses is not None:
            changed, drop = responses.class_changes(part.texts)
            head += ["class changes", "similarity drops"]
            columns.append([percent(share) for share in changed.tolist()])
            columns.append([f"{value:.3f}" for value in drop.tolist()])
    if responses is not None:
        head.append("image changes")
        columns.append([f"{value:.4f}" for value in responses.change.tolist()])
    return plain_table([head, *zip(*columns, strict=True)], right=True)


def positions_text(partitions: Sequence[Partition], best: int) -> str:
    """The best positions of all partitions, such as "6, 15", the most important first."""
    positions = dict.fromkeys(k for part in partitions for k in part.statistics.best(best))
    return ", ".join(map(str, positions))


def notes(partitions: Sequence[Partition], skipped: Sequence[str], best: int) -> list[str]:
    """Sentences for the user: class sizes, positions that chance explains, files left out."""
    lines = []
    for part in partitions:
        statistics, positions = part.statistics, part.statistics.best(best)
        lines.append(f"{part.sizes()}: position {', '.join(map(str, positions))}")
        weak = [k for k in positions if statistics.scores[k] <= statistics.chance]
        if weak:
            lines.append(
                f"{part.name}: position {', '.join(map(str, weak))} is not above chance "
                f"({statistics.chance:.3f}); more images tell more"
            )
        fewest = min(statistics.counts)
        if fewest < FEW:
            lines.append(
                f"{part.name}: a class has only {counted(fewest, 'image')}; with fewer than "
                f"{FEW} the figures are rough"
            )
    if skipped:
        lines.append(f"{counted(len(skipped), 'file')} left out: {skipped[0]}")
    return lines
