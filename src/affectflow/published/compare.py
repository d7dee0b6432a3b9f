"""The published tables with this run's numbers beside each published one, as one tidy table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from affectflow.provenance.atomic import atomic
from affectflow.published import numbers
from affectflow.published.best import CRITERIA, best_experiments
from affectflow.published.names import BASELINES, LAYOUT
from affectflow.published.notes import cell_note
from affectflow.published.numbers import ACCURACY, COUNTS, METRICS, Table
from affectflow.published.scores import Scores

KEYS = ("table", "split", "experiment", "state", "metric")
NUMBERS = ("published", "ours", "ci_low", "ci_high", "difference")
TEXTS = ("ours_note", "choice", "note")
COLUMNS = [*KEYS, *NUMBERS, *TEXTS]

Row = dict[str, Any]


def compare(
    results: pandas.DataFrame,
    levels: pandas.DataFrame,
    layout: str,
    random_weights: Collection[str] = (),
    over_runs: pandas.DataFrame | None = None,
) -> pandas.DataFrame:
    """Lay a run's numbers beside those of Tables 4.1 and 4.3 to 4.13.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`; the test split is compared.
    levels : pandas.DataFrame
        The run's levels table: `split, state, level_0 .. level_3, total`.
    layout : str
        The study's `dataset.layout`.
    random_weights : collection of str
        Experiments whose backbone has random weights.
    over_runs : pandas.DataFrame, optional
        As from `evaluation.spread.spread`: what is compared of experiments with several seeds.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per published number, in the order of the tables.

        ``published``
            As printed; NaN where the dissertation has NA. Accuracies are in per cent, F1 scores
            from 0 to 1, Table 4.1 in clips.
        ``ours``, ``ci_low``, ``ci_high``
            This run's, in the same unit, and its 95% interval; NaN where there is none.
        ``difference``
            Ours minus published: percentage points, F1 or clips.
        ``ours_note``
            Why there is none of ours, or what it is: of random weights, a mean over seeds, a
            constant's.
        ``choice``
            In Table 4.13, who calls the experiment best, and by what.
        ``note``
            What is known to be wrong with the published number.

        No rows where the run has none of the dissertation's experiments, or is not of DAiSEE's
        layout.
    """
    rows: list[Row] = []
    scores = Scores(results, random_weights, over_runs)
    if scores.experiments and layout == LAYOUT:
        for table in numbers.tables().values():
            if table.number == "4.1":
                rows += compare_levels(table, levels)
            elif table.number == "4.7":
                rows += compare_baselines(table, scores)
            elif table.number == "4.13":
                rows += compare_best(table, scores)
            else:
                rows += compare_experiments(table, scores)
    frame = pandas.DataFrame(rows, columns=COLUMNS)
    texts = frame[[*KEYS, *TEXTS]].fillna("").astype("str")
    return frame.assign(**texts).astype(dict.fromkeys(NUMBERS, "float64"))


def compare_levels(table: Table, levels: pandas.DataFrame) -> list[Row]:
    """Return Table 4.1: clips per split, state and level."""
    ours = {
        (row["split"], row["state"], metric): row.get(metric, np.nan)
        for row in levels.to_dict("records")
        for metric in COUNTS
    }
    return [
        _row(
            table,
            {"split": row["split"], "state": row["state"], "metric": metric},
            row[metric],
            {"ours": ours.get((row["split"], row["state"], metric), np.nan)},
        )
        for row in numbers.levels().to_dict("records")
        for metric in COUNTS
    ]


def compare_experiments(table: Table, scores: Scores) -> list[Row]:
    """Return one of Tables 4.3 to 4.6 and 4.8 to 4.12: accuracy and F1 scores per experiment."""
    return [row for state in table.states for row in _rows(table, table.experiments, state, scores)]


def compare_baselines(table: Table, scores: Scores) -> list[Row]:
    """Return Table 4.7: accuracy of two published baselines and of three experiments."""
    published = {row["state"]: row for row in numbers.baselines().to_dict("records")}
    return [
        _row(
            table,
            {"split": "test", "experiment": name, "state": state, "metric": ACCURACY},
            published[state][name],
            scores.ours(name, state, ACCURACY),
        )
        for state in table.states
        for name in (*BASELINES, *table.experiments)
    ]


def compare_best(table: Table, scores: Scores) -> list[Row]:
    """Return Table 4.13: the experiments that the dissertation chose, then those chosen alike here.

    Both choose by test score, which flatters what is chosen.
    """
    published = numbers.best()
    rows: list[Row] = []
    for state in table.states:
        chosen = {
            f"published: best by {row['criterion']}": row["experiments"]
            for row in published[published["state"] == state].to_dict("records")
        } | {
            f"ours: best by {criterion}": best_experiments(scores, state, metric)
            for criterion, metric in CRITERIA.items()
        }
        for choice, experiments in chosen.items():
            rows += [row | {"choice": choice} for row in _rows(table, experiments, state, scores)]
    return rows


def _rows(table: Table, experiments: Iterable[str], state: str, scores: Scores) -> Iterator[Row]:
    published = {
        (row["experiment"], row["state"]): row for row in numbers.results().to_dict("records")
    }
    for name in experiments:
        for metric in METRICS:
            cell = {"split": "test", "experiment": name, "state": state, "metric": metric}
            number = published[name, state][metric]
            yield _row(table, cell, number, scores.ours(name, state, metric))


def _row(table: Table, cell: Mapping[str, str], published: float, ours: Mapping[str, Any]) -> Row:
    return {
        "table": table.number,
        **cell,
        "published": published,
        **ours,
        "difference": round(ours["ours"] - published, 6),
        "note": cell_note(table.number, cell),
    }


def write_published(path: Path, rows: pandas.DataFrame) -> None:
    """Write published.csv; equal tables give equal bytes."""
    with atomic(path) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
