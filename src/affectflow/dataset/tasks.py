"""What is predicted for a clip: a task and its levels."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from affectflow.provenance.atomic import write_text

Value = int | float
"""A clip's label: a level's code, or the number of a real-valued task."""


@dataclass(frozen=True)
class Task:
    """One thing to predict of a clip.

    Attributes
    ----------
    name : str
        Column in the clip table, such as ``"engagement"``.
    kind : {"ordinal", "nominal", "real"}
        Whether the levels have an order; distances between levels count for ordinal tasks only. A
        real-valued task has no levels: its label is a number.
    levels : tuple of str
        Names of the levels; a level's code is its place, from 0. Empty for a real-valued task.
    """

    name: str
    kind: Literal["ordinal", "nominal", "real"]
    levels: tuple[str, ...]


LEVELS = ("very low", "low", "high", "very high")

DAISEE_TASKS = [
    Task(state, "ordinal", LEVELS)
    for state in ("boredom", "engagement", "confusion", "frustration")
]


def write_tasks(path: Path, tasks: list[Task]) -> None:
    """Write tasks as JSON."""
    write_text(path, json.dumps([asdict(task) for task in tasks], indent=2) + "\n")


def read_tasks(path: Path) -> list[Task]:
    """Read what `write_tasks` wrote."""
    return [
        Task(item["name"], item["kind"], tuple(item["levels"]))
        for item in json.loads(Path(path).read_text(encoding="utf-8"))
    ]
