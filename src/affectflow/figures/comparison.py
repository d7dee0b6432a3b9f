"""Differences between experiments as an HTML page that stands alone, a matrix per state."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from math import isnan

import pandas

from affectflow.evaluation.tables import SIGNIFICANT
from affectflow.figures.page import NOTES, RANDOM, WARNED, document, listed, table_head

SPLIT, METRIC = "test", "macro_f1"
OF_NUMBERS = "ccc"
READING = (
    "Each cell is the macro-F1 (of a real-valued state the concordance, CCC) of the column's "
    "experiment minus that of the row's, on the test "
    "clips that both scored; below it the 95 % interval from resampling subjects, the same draws "
    "for both. ○: exchanging the two experiments' predictions within subjects seldom makes such a "
    f"difference (p below {SIGNIFICANT}). ●: so it is after Holm's correction for all pairs of "
    "this state. An interval that excludes 0 is no mark: with few subjects it is too narrow. "
    "Without a mark the two have not been shown to differ, which does not show them equal. "
    f"{WARNED}"
)
CHOOSING = (
    "Choose between experiments on the validation split and report the test split: whichever looks "
    "best here looks better than it is. Other metrics, p-values and the validation split are in "
    "comparisons.csv; the latter without p-values, for epochs and thresholds were chosen on it."
)
MORE = "test on more subjects (<code>folds</code> tests all)"


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
    rows = comparisons[
        (comparisons["split"] == SPLIT) & comparisons["metric"].isin([METRIC, OF_NUMBERS])
    ]
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
                f"<p>{_counts(own)} {_least(own)}</p>",
                _matrix(own, names, random_weights),
            ]
    return document("Comparisons", body)


def _counts(rows: pandas.DataFrame) -> str:
    clips, subjects = _range(rows["n_clips"]), _range(rows["n_subjects"])
    warnings = "; ".join(sorted({warning.split(":")[0] for warning in rows["ci_warning"]} - {""}))
    return (
        f"Both scored {clips} of {rows['n_labelled'].iloc[0]:,} labelled clips, "
        f"of {subjects} subjects." + f" ⚠ {escape(warnings)}." * bool(warnings)
    )


def _least(rows: pandas.DataFrame) -> str:
    """Return how small p can get at all, and what follows for the marks."""
    least, corrected = rows["p_least"].min(), rows["p_holm_least"].min()
    if isnan(least):
        return "With fewer than two subjects no difference can be tested."
    pairs = int(rows["p_least"].count())
    differing = int(rows.loc[rows["p_least"].notna(), "n_differing"].max())
    subjects = f"{differing:,} subject" + "s" * (differing != 1)
    text = f"Where two experiments differ on {subjects}, p can't be below {_small(least)}"
    if pairs > 1:
        text += f", and after Holm's correction for {pairs:,} pairs not below {_small(corrected)}"
    if least >= SIGNIFICANT:
        text += f". So no mark can appear here: {MORE}"
    elif corrected >= SIGNIFICANT:
        text += f". So no ● can appear here: compare fewer experiments, or {MORE}"
    return f"<strong>{text}.</strong>" if corrected >= SIGNIFICANT else f"{text}."


def _small(p: float) -> str:
    return f"{p:.3g}" if p >= 1e-4 else f"{p:.6f}".rstrip("0")


def _range(counts: pandas.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _matrix(rows: pandas.DataFrame, names: Sequence[str], random_weights: Collection[str]) -> str:
    """Return one state's differences; columns have the rows' numbers, for names may be long."""
    columns = ["difference", "ci_low", "ci_high", "p", "p_holm"]
    cells = {}
    for first, second, warning, *numbers in rows[
        ["first", "second", "ci_warning", *columns]
    ].itertuples(index=False):
        value, low, high, p, corrected = map(float, numbers)
        cells[first, second] = _cell(value, low, high, p, corrected, warning)
        cells[second, first] = _cell(-value, -high, -low, p, corrected, warning)
    lines = []
    for place, row in enumerate(names, start=1):
        flag = "<br><span class=flag>random weights</span>" if row in random_weights else ""
        differences = (cells.get((row, column), "<td>·</td>") for column in names)
        head = f"<th scope=row>{place}&ensp;{escape(row)}{flag}</th>"
        lines.append(f"<tr>{head}{''.join(differences)}</tr>")
    heads = ["", *(str(place) for place in range(1, len(names) + 1))]
    return f"<table>{table_head(heads)}<tbody>{''.join(lines)}</tbody></table>"


def _cell(value: float, low: float, high: float, p: float, corrected: float, warning: str) -> str:
    if isnan(value):
        return "<td>–</td>"
    number = f"{value + 0.0:+.3f}"
    if corrected < SIGNIFICANT:
        number = f"<span class=above>{number} ●</span>"
    elif p < SIGNIFICANT:
        number += " ○"
    interval = "" if isnan(low) else f"[{low + 0.0:+.3f}, {high + 0.0:+.3f}]"
    mark = " <span class=flag>⚠</span>" if warning else ""
    return f"<td class=number>{number}<br><span class=range>{interval}{mark}</span></td>"
