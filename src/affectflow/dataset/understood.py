"""What was understood of a label table's columns, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from affectflow.dataset.levels import NO_LEVEL
from affectflow.dataset.tasks import Task, Value

MOST_NAMES = 8


@dataclass(frozen=True)
class Column:
    """A column of a label table, as it was understood.

    Attributes
    ----------
    name : str
    task : Task or None
        None: it is no task.
    values : tuple
        Of each row: a level's code, the number of a real-valued task, or None where there is no
        label; `NO_LEVEL` where a number is none of the declared levels.
    missing : mapping of str to int
        The cells that hold no label, as they are written, and how many.
    notes : tuple of str
        What else is to be told; of a column that is no task, why.
    """

    name: str
    task: Task | None
    values: tuple[Value | None, ...]
    missing: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """Return in a line what was understood."""
        if self.task is None:
            return f"{self.name}: not a task ({'; '.join(self.notes)})"
        known = [value for value in self.values if value not in (None, NO_LEVEL)]
        if self.task.kind == "real":
            known = [value for value in self.values if value is not None]
        parts = [described(self.task, known), f"{len(known):,} labels"]
        if self.missing:
            cells = ", ".join(f"'{cell}' {count:,}" for cell, count in self.missing.items())
            parts.append(f"{sum(self.missing.values()):,} missing ({cells})")
        return f"{self.name}: {'; '.join([', '.join(parts), *self.notes])}"


def described(task: Task, values: Sequence[Value] = ()) -> str:
    """Return a task's kind and levels in words."""
    if task.kind == "real":
        within = f" from {min(values):g} to {max(values):g}" if values else ""
        return f"real-valued{within}"
    between = " < " if task.kind == "ordinal" else ", "
    names = list(task.levels)
    if len(names) > MOST_NAMES:
        names = [*names[:3], "...", names[-1]]
    order = "" if task.kind == "ordinal" else " without an order"
    return f"{task.kind}, {len(task.levels)} levels{order}: {between.join(names)}"
