"""What is known to be wrong with a published number."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from affectflow.published import numbers
from affectflow.published.arithmetic import constant_level, correct_clips, scored_clips
from affectflow.published.numbers import ACCURACY, F1

# The test split has 1,784 labels (Table 4.1); beyond a hundred lost clips nobody would be silent.
TOTALS = range(1684, 1785)
KEYS = ("split", "experiment", "state", "metric")


def cell_note(table: str, cell: Mapping[str, str]) -> str:
    """Return what is to be said of one published number; an empty text where nothing is.

    Parameters
    ----------
    table : str
        Such as ``"4.10"``.
    cell : mapping of str to str
        `split, experiment, state, metric`, as far as they apply.
    """
    said = [
        text
        for tables, about, text in _notes()
        if table in tables and about and all(cell.get(key) == about[key] for key in about)
    ]
    if cell["metric"] == ACCURACY:
        said.append(constants().get((cell["experiment"], cell["state"]), ""))
    return " ".join(filter(None, said))


def table_notes(table: str) -> list[str]:
    """Return what is to be said of a table as a whole."""
    return [text for tables, about, text in _notes() if table in tables and not about]


@cache
def constants() -> dict[tuple[str, str], str]:
    """Return the published results that are a constant's, and how that shows, in words.

    By (experiment, state). Where a level has rate p among the scored clips, always predicting it
    has accuracy p and F1 = 2p / (1 + p).
    """
    found = {}
    scored = published_totals()
    for row in numbers.results().to_dict("records"):
        level = constant_level(row[ACCURACY], [row[name] for name in F1])
        total = scored.get(row["experiment"])
        if level is not None and total is not None:
            correct = correct_clips(row[ACCURACY], total)
            f1 = 2 * row[ACCURACY] / (100 + row[ACCURACY])
            found[row["experiment"], row["state"]] = (
                f"What always predicting level {level} gives: {correct:,} of {total:,} clips, "
                f"F1 2p/(1+p) = {f1:.2f}."
            )
    return found


def published_totals() -> dict[str, int]:
    """Return by experiment how many test clips it scored, where its accuracies leave one total."""
    totals = {}
    for experiment, own in numbers.results().groupby("experiment", sort=False):
        possible = scored_clips(own[ACCURACY], TOTALS)
        if len(possible) == 1:
            totals[str(experiment)] = possible[0]
    return totals


@cache
def _notes() -> list[tuple[list[str], dict[str, str], str]]:
    return [
        (row["table"].split(), {key: row[key] for key in KEYS if row[key]}, row["note"])
        for row in numbers.notes().to_dict("records")
    ]
