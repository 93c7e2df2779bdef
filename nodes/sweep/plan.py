"""The runs of a sweep: every value of one setting, or every pair of values of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..losses.recipe import LossRecipe
from .settings import SETTINGS, Job, read_values, with_point

NONE = "none"
MOST_CELLS = 64


@dataclass(frozen=True)
class Axis:
    """One swept setting.

    Args:
        texts: its values as the user wrote them.
        remark: how they were read, where a user may have meant something else.
    """

    name: str
    texts: tuple[str, ...]
    values: tuple[Any, ...]
    remark: str = ""


@dataclass(frozen=True)
class Plan:
    """What a sweep runs: `jobs` row by row, a row for each value of the second axis."""

    base: Job
    columns: Axis
    rows: Axis | None
    jobs: tuple[Job, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (self.columns,) if self.rows is None else (self.columns, self.rows)

    @property
    def same_loss(self) -> bool:
        """Whether the losses of all runs are numbers of the same kind."""
        return all(SETTINGS[axis.name].same_loss for axis in self.axes)

    @property
    def steps(self) -> int:
        return sum(job.config.steps for job in self.jobs)

    def judged_by(self, job: Job) -> LossRecipe:
        """The loss that scores a job's result: one for all jobs where that makes sense."""
        return self.base.loss if self.same_loss else job.loss

    def texts(self, number: int) -> tuple[str, ...]:
        """The values of a job as written, one for each axis."""
        row, column = divmod(number, len(self.columns.texts))
        return tuple(axis.texts[i] for axis, i in zip(self.axes, (column, row), strict=False))


def make_plan(
    base: Job, setting_1: str, values_1: str, setting_2: str = NONE, values_2: str = ""
) -> Plan:
    """All runs, each one the `base` with other values.

    Raises:
        ValueError: values that do not exist, are too many or cannot be set here.
    """
    if setting_1 == setting_2:
        raise ValueError(
            f"setting_1 and setting_2 are both {setting_1}; choose two different ones, or none for "
            "setting_2."
        )
    columns = _axis(setting_1, values_1, "values_1")
    rows = None if setting_2 == NONE else _axis(setting_2, values_2, "values_2")
    count = len(columns.values) * (len(rows.values) if rows else 1)
    if count > MOST_CELLS:
        raise ValueError(
            f"values_1 and values_2 give {count} runs, expected {MOST_CELLS} at most; take fewer "
            "values."
        )
    jobs = tuple(
        _job(base, columns, column, rows, row)
        for row in range(len(rows.values) if rows else 1)
        for column in range(len(columns.values))
    )
    return Plan(base, columns, rows, jobs)


def _axis(name: str, text: str, label: str) -> Axis:
    texts, values = read_values(name, text, label)
    point = with_point(name, text)
    remark = (
        f"{label} was read as the two values {' and '.join(texts)}: the number {point} is written "
        "with a point"
    )
    return Axis(name, tuple(texts), tuple(values), remark if point else "")


def _job(base: Job, columns: Axis, column: int, rows: Axis | None, row: int) -> Job:
    changes = [(columns, column)] + ([(rows, row)] if rows else [])
    # A weight of the regularizer switches it on; a swept kind of regularizer has the last word.
    for axis, i in sorted(changes, key=lambda change: change[0].name == "regularize"):
        try:
            base = SETTINGS[axis.name].change(base, axis.values[i])
            base.loss.check_weights()
        except ValueError as problem:
            raise ValueError(f"{axis.name} = {axis.texts[i]} cannot be run: {problem}") from None
    return base
