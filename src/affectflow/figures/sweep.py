"""A sweep's members side by side, as an HTML page that stands alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from math import isnan, nan
from typing import Any

import pandas

from affectflow.figures.page import NOTES, RANDOM, WARNED, document, listed, table_head, warned
from affectflow.figures.table import NUMBERS, SUMMARY, summary_table, three

READING = (
    "Each row is a member of the sweep on the validation split: the mean of each metric over the "
    "states, and over seeds where there are several (± their deviation); below a state's own value "
    "its 95 % interval from resampling subjects, where there is one seed. ◆ marks the member with "
    "most of the metric that the sweep chooses by. Members whose intervals overlap widely were "
    "told apart by luck as much as by merit, and the best of many is flattered by the choice: the "
    f"intervals do not know of it. {WARNED}"
)
CCC = "ccc"
TITLES = {**SUMMARY, CCC: NUMBERS[CCC]}
TESTED = "On the test split only the chosen member was scored, its runs once each."
UNDECIDED = (
    "<strong>No state has this metric for every member: nothing was chosen, and the first member "
    "was taken.</strong>"
)


def sweep_html(
    name: str,
    choice: Mapping[str, Any],
    values: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, Sequence[str]],
    validation: pandas.DataFrame,
    test: pandas.DataFrame,
    random_weights: bool = False,
    about: Collection[str] = (),
) -> str:
    """Return the page of one sweep.

    Parameters
    ----------
    name : str
        The sweep's.
    choice : mapping
        As from `affectflow.evaluation.choose.choose`.
    values : mapping
        Member -> swept key -> value.
    runs : mapping
        Member -> its runs.
    validation : pandas.DataFrame
        As from `affectflow.evaluation.choose.validation_results`. Every text in it is escaped.
    test : pandas.DataFrame
        The chosen member's results (`affectflow.evaluation.tables.results_table`), a run per seed.
    random_weights : bool
        Whether a backbone of the sweep has random weights: then the notes say so.
    about : collection of str
        What is to be said of the data set's people and labels.

    Returns
    -------
    str
        An HTML document.
    """
    by = choice["by"]
    body = [
        f"<h1>Sweep: {escape(name)}</h1>",
        listed([RANDOM] * random_weights + [*NOTES, *about]),
        f"<p>{READING}</p>",
        *([] if choice["values"][choice["chosen"]] is not None else [f"<p>{UNDECIDED}</p>"]),
        f"<h2>validation split: {len(runs)} members, chosen by {escape(TITLES[by])}</h2>",
        _members(choice, values, runs, validation),
        "<h2>test split: the chosen member</h2>",
        f"<p>{TESTED}</p>",
        summary_table(
            test[test["split"] == "test"], set(test["experiment"]) if random_weights else ()
        ),
    ]
    return document("Sweep", body)


def _members(
    choice: Mapping[str, Any],
    values: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, Sequence[str]],
    validation: pandas.DataFrame,
) -> str:
    by = choice["by"]
    # Errors of several states have several units, and no mean.
    shown = [*SUMMARY, *([CCC] if CCC in set(validation["metric"]) else [])]
    metrics = [by, *(metric for metric in shown if metric != by)]
    states = list(dict.fromkeys(validation["state"]))
    keys = list(next(iter(values.values())))
    heads = ["", *keys, *(f"{TITLES[metric]}, mean" for metric in metrics), *states]
    lines = []
    for member, own in sorted(values.items(), key=lambda each: _order(choice, each[0])):
        rows = validation[validation["experiment"].isin(list(runs[member]))]
        cells = [f"<td>{escape(_text(own[key]))}</td>" for key in keys]
        cells += [f"<td class=number>{_mean(rows, metric)}</td>" for metric in metrics]
        cells += [_state(rows[(rows["state"] == s) & (rows["metric"] == by)]) for s in states]
        mark = "<span class=above>◆</span>" if member == choice["chosen"] else ""
        lines.append(f"<tr><td>{mark}</td>{''.join(cells)}</tr>")
    return f"<table>{table_head(heads)}<tbody>{''.join(lines)}</tbody></table>"


def _order(choice: Mapping[str, Any], member: str) -> float:
    value = choice["values"][member]
    return float("inf") if value is None else -value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _mean(rows: pandas.DataFrame, metric: str) -> str:
    """Return the mean over states and runs, and the runs' deviation where there are several."""
    per_run = rows[rows["metric"] == metric].groupby("experiment")["value"].mean()
    if per_run.empty:
        return "–"
    deviation = f" ± {three(per_run.std())}" if len(per_run) > 1 else ""
    return three(per_run.mean()) + deviation


def _state(rows: pandas.DataFrame) -> str:
    value = rows["value"].mean() if len(rows) else nan
    interval = warning = ""
    if len(rows) == 1 and not isnan(rows["ci_low"].iloc[0]):
        interval = f"[{three(rows['ci_low'].iloc[0])}, {three(rows['ci_high'].iloc[0])}]"
        warning = warned(rows["ci_warning"].iloc[0])
    return f"<td class=number>{three(value)}<br><span class=range>{interval}</span>{warning}</td>"
