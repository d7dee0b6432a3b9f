"""The dissertation's tables, read from the CSV files beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas

FOLDER = Path(__file__).parent
SOURCE = (
    "R. Abraham, Multi-task Learning for Student Mental State Recognition from Facial Expressions "
    "in-the-wild, MSc dissertation, University of Southampton, 2022, chapter 4"
)
COUNTS = ("level_0", "level_1", "level_2", "level_3", "total")
ACCURACY = "accuracy_percent"
F1 = ("f1_level_0", "f1_level_1", "f1_level_2", "f1_level_3")
METRICS = (ACCURACY, *F1)


@dataclass(frozen=True)
class Table:
    """One of the dissertation's tables.

    Attributes
    ----------
    number : str
        Such as ``"4.10"``.
    title : str
    experiments : tuple of str
        Those it compares, in its order; none in Tables 4.1 and 4.13.
    states : tuple of str
    """

    number: str
    title: str
    experiments: tuple[str, ...]
    states: tuple[str, ...]


def tables() -> dict[str, Table]:
    """Return Tables 4.1 and 4.3 to 4.13 by number, in their order."""
    return {
        row["table"]: Table(
            row["table"],
            row["title"],
            experiment_names(row["experiments"]),
            tuple(row["states"].split()),
        )
        for row in _read("tables.csv", str).to_dict("records")
    }


def levels() -> pandas.DataFrame:
    """Return Table 4.1: `split, state, level_0 .. level_3, total`, counts of clips."""
    return _read("levels.csv")


def results() -> pandas.DataFrame:
    """Return Tables 4.3 to 4.6: `experiment, state, accuracy_percent, f1_level_0 .. f1_level_3`.

    A number printed as NA is NaN.
    """
    return _read("results.csv")


def baselines() -> pandas.DataFrame:
    """Return Table 4.7: `state` and the accuracy in per cent of each baseline and experiment."""
    return _read("baselines.csv")


def similarity() -> pandas.DataFrame:
    """Return what is stated on Figure 4.2: `first, frame, frames, similarity`.

    Frames count from 1; equation 4.1, from -1 to 1.
    """
    return _read("similarity.csv")


def best() -> pandas.DataFrame:
    """Return Table 4.13's choice: `state, criterion, experiments` (a tuple of names)."""
    table = _read("best.csv", str)
    return table.assign(experiments=table["experiments"].map(experiment_names))


def notes() -> pandas.DataFrame:
    """Return the known slips: `table, split, experiment, state, metric, note`, all str.

    `table` may name several, a space between. An empty field stands for any; where all but `table`
    are empty, the note is about the table as a whole.
    """
    return _read("notes.csv", str)


def experiment_names(numbers: str) -> tuple[str, ...]:
    """Return the names of experiments given as ``"5 6 7"``."""
    return tuple(f"experiment_{number}" for number in numbers.split())


def _read(name: str, kind: type | None = None) -> pandas.DataFrame:
    # As texts, nothing is missing: an empty field is an empty text. Table 4.10 is not 4.1.
    missing = [] if kind is str else [""]
    return pandas.read_csv(
        FOLDER / name, comment="#", dtype=kind, keep_default_na=False, na_values=missing
    )
