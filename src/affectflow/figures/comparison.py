"""Differences between experiments as an HTML page that stands alone, a matrix per state."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from math import isnan

import pandas

from affectflow.evaluation.tables import FEWEST_SUBJECTS
from affectflow.figures.page import NOTES, RANDOM, document, listed, table_head

SPLIT, METRIC = "test", "macro_f1"
SIGNIFICANT = 0.05
READING = (
    "Each cell is the macro-F1 of the column's experiment minus that of the row's, on the test "
    "clips that both scored; below it the 95 % interval from resampling subjects, the same draws "
    "for both. ○: the interval excludes 0. ●: so it does after Holm's correction for all pairs of "
    f"this state (p below 0.05). With fewer than {FEWEST_SUBJECTS} subjects there is no mark. "
    "Without a mark the two have not been shown to differ, which does "
    "not show them equal."
)
CHOOSING = (
    "Choose between experiments on the validation split and report the test split: whichever looks "
    "best here looks better than it is. Other metrics, p-values and the validation split are in "
    "comparisons.csv."
)


def comparisons_html(
    comparisons: pandas.DataFrame,
    random_weights: Collection[str] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    about: Collection[str] = (),
) -> str:
    """Return the differences of macro-F1 on the test split between every two experiments.

    Parameters
    ----------
    comparisons : pandas.DataFrame
        As from `evaluation.paired.compare`. Every text in it is escaped.
    random_weights : collection of str
        Experiments whose backbone has random weights: flagged, and said in the notes.
    groups : mapping or None
        Where experiments are tested, in words -> the experiments: those of different groups are
        tested on different subjects and can't be compared. None: all in the test split.
    about : collection of str
        What is to be said of the data set's people and labels.

    Returns
    -------
    str
        An HTML document.
    """
    compared = list(dict.fromkeys([*comparisons["first"], *comparisons["second"]]))
    groups = groups or {"test split": compared}
    notes = [RANDOM] * bool(set(random_weights) & set(compared)) + [*NOTES, *about]
    body = ["<h1>Experiments against each other</h1>", listed(notes)]
    rows = comparisons[(comparisons["split"] == SPLIT) & (comparisons["metric"] == METRIC)]
    if comparisons.empty:
        body.append(
            "<p>No two experiments are tested on the same clips: there is nothing to compare.</p>"
        )
    elif rows.empty:
        body.append("<p>No clip in the test split: comparisons.csv has the validation split.</p>")
    else:
        body += [f"<p>{READING}</p>", f"<p>{CHOOSING}</p>"]
    for place, names in groups.items():
        within = rows[rows["first"].isin(list(names))]
        for state, own in within.groupby("state", sort=False):
            body += [
                f"<h2>{escape(str(state))}: {escape(place)}</h2>",
                f"<p>{_counts(own)}</p>",
                _matrix(own, names, random_weights),
            ]
    return document("Comparisons", body)


def _counts(rows: pandas.DataFrame) -> str:
    clips, subjects = _range(rows["n_clips"]), _range(rows["n_subjects"])
    return (
        f"Both scored {clips} of {rows['n_labelled'].iloc[0]:,} labelled clips, "
        f"of {subjects} subjects."
    )


def _range(counts: pandas.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _matrix(rows: pandas.DataFrame, names: Sequence[str], random_weights: Collection[str]) -> str:
    """Return one state's differences; columns have the rows' numbers, for names may be long."""
    columns = ["difference", "ci_low", "ci_high", "p_holm", "n_subjects"]
    cells = {}
    for first, second, *numbers in rows[["first", "second", *columns]].itertuples(index=False):
        value, low, high, p, subjects = map(float, numbers)
        enough = subjects >= FEWEST_SUBJECTS
        cells[first, second] = _cell(value, low, high, p, enough)
        cells[second, first] = _cell(-value, -high, -low, p, enough)
    lines = []
    for place, row in enumerate(names, start=1):
        flag = "<br><span class=flag>random weights</span>" if row in random_weights else ""
        differences = (cells.get((row, column), "<td>·</td>") for column in names)
        head = f"<th scope=row>{place}&ensp;{escape(row)}{flag}</th>"
        lines.append(f"<tr>{head}{''.join(differences)}</tr>")
    heads = ["", *(str(place) for place in range(1, len(names) + 1))]
    return f"<table>{table_head(heads)}<tbody>{''.join(lines)}</tbody></table>"


def _cell(value: float, low: float, high: float, p: float, enough: bool) -> str:
    if isnan(value):
        return "<td>–</td>"
    number = f"{value + 0.0:+.3f}"
    if enough and p < SIGNIFICANT:
        number = f"<span class=above>{number} ●</span>"
    elif enough and (low > 0 or high < 0):
        number += " ○"
    interval = "" if isnan(low) else f"[{low + 0.0:+.3f}, {high + 0.0:+.3f}]"
    return f"<td class=number>{number}<br><span class=range>{interval}</span></td>"
