"""What was understood of a label table's columns, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from affectflow.dataset.tasks import Task, Value

MOST_NAMES = 8
YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What YAML takes for no text where it has no quotes."""


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
        label; `levels.NO_LEVEL` where a number is none of the declared levels.
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
        parts = counted(self.task, self.values)
        if self.missing:
            cells = ", ".join(f"'{cell}' {count:,}" for cell, count in self.missing.items())
            parts.append(f"{sum(self.missing.values()):,} missing ({cells})")
        return f"{self.name}: {'; '.join([', '.join(parts), *self.notes])}"


def counted(task: Task, values: Sequence[Value | None]) -> list[str]:
    """Return in words a task's kind and levels, how many labels it has, and how many others."""
    labels = [value for value in values if value is not None]
    usable = labels
    if task.kind != "real":
        usable = [value for value in labels if value in range(len(task.levels))]
    beyond = len(labels) - len(usable)
    parts = [described(task, usable), f"{len(usable):,} labels"]
    return [*parts, f"{beyond:,} of no such level"] if beyond else parts


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


def first_of(values: Sequence[float]) -> str:
    """Return numbers as a list in YAML has them, only the first of many."""
    names = [f"{value:.15g}" for value in values]
    return ", ".join(names if len(names) <= MOST_NAMES else [*names[:3], "..."])


def quoted(cell: str) -> str:
    """Return a cell as YAML takes it for a text within a list."""
    plain = cell.replace(" ", "").isalnum() and cell.lower() not in YAML_WORDS
    return cell if plain else "'" + cell.replace("'", "''") + "'"
