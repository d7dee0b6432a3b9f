"""The results and the audit as HTML tables that stand alone: no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from math import isnan, nan

import pandas

from affectflow.evaluation.tables import SIGNIFICANT, Estimate, estimates, floors_of, is_above
from affectflow.figures.page import (
    NOTES,
    RANDOM,
    WARNED,
    document,
    listed,
    plain_table,
    table_head,
    warned,
)

READING = (
    "The floor is what always predicting the most frequent training level scores on the same clips "
    "(kappa: 0); random is what drawing levels with their shares of the training labels scores on "
    "average. In brackets: 95 % intervals from resampling subjects. ▲, on the test split alone: "
    "the whole interval is above both, and exchanging the model's predictions with either floor's, "
    f"subject by subject, seldom makes such a difference (p below {SIGNIFICANT}, which five "
    "subjects or fewer can't reach). Marks are not corrected for their number: of many models that "
    "only guess, a few may have one. A guess with other shares may score a little more macro-F1, "
    "but no guess lifts kappa or balanced accuracy: look for all three. An experiment in folds was "
    "tested on all subjects, each by a run that never saw them; its floors know the labels that "
    "they are scored on. On the training split a model knows the answers, and on the validation "
    f"split its epoch was chosen: nothing is marked there. {WARNED}"
)
UNTESTED = (
    "Nothing was tested: no clip of the test split has both a label and a frame with a face. What "
    "is below was used for training, or to choose the epoch."
)
MOST_ROWS = 2000
SUMMARY = {
    "macro_f1": "macro-F1",
    "kappa": "kappa",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}
NUMBERS = {
    "ccc": "concordance (CCC)",
    "pearson": "correlation (r)",
    "mae": "mean absolute error",
    "mse": "mean squared error",
}
"""Of real-valued states."""
OF_NUMBERS = (
    "Real-valued states: the floor is the mean of the training labels. Concordance (Lin 1989) is 1 "
    "where every prediction is its label, and 0 for a constant; of errors less is better."
)


def results_html(
    results: pandas.DataFrame,
    random_weights: Collection[str] = (),
    over_runs: pandas.DataFrame | None = None,
    about: Collection[str] = (),
    differing: Collection[str] = (),
) -> str:
    """Return the results table: the test split, then the others folded away.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`. Every text in it is escaped.
    random_weights : collection of str
        Experiments whose backbone has random weights: flagged, and said in the notes.
    over_runs : pandas.DataFrame, optional
        As from `evaluation.spread.spread`: shown first.
    about : collection of str
        What is to be said of the data set's people and labels.
    differing : collection of str
        In what the embeddings of some clips differ from those of others, such as their precision.

    Returns
    -------
    str
        An HTML document.
    """
    notes = [RANDOM] * bool(set(random_weights) & set(results["experiment"]))
    notes += [f"{difference}. Clips compare less well for it." for difference in differing]
    notes += [*NOTES, *about]
    folds = {} if over_runs is None else folds_said(over_runs)
    splits = sorted(results["split"].unique(), key=lambda split: split != "test")
    body = ["<h1>Results beside their floors</h1>", listed(notes), f"<p>{escape(READING)}</p>"]
    if splits and not (results.loc[results["split"] == "test", "n_scored"] > 0).any():
        body.append(f"<p><strong>{UNTESTED}</strong></p>")
    if over_runs is not None and len(over_runs):
        body += [
            "<h2>test split: mean over seeds or folds, and their deviation</h2>",
            _spread(over_runs, random_weights),
        ]
    for split in splits:
        table = summary_table(results[results["split"] == split], random_weights, folds)
        if split == "test":
            body.append(f"<h2>test split: subjects never seen in training</h2>{table}")
        else:
            body.append(f"<details><summary>{escape(split)} split</summary>{table}</details>")
    if not splits:
        body.append("<p>No experiment was scored.</p>")
    return document("Results", body)


def folds_said(over_runs: pandas.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Return what is to be said of each experiment and state that was tested in folds.

    A model that is a constant in every fold is none when the folds are put together.
    """
    own = over_runs[(over_runs["over"] == "folds") & (over_runs["split"] == "test")]
    said = {}
    for row in own[own["metric"] == "collapsed"].to_dict("records"):
        folds, constant = int(row["runs"]), round(row["mean"] * row["runs"])
        flags = [f"all subjects, in {folds} folds"]
        flags += [f"predicts one level in {constant} of {folds} folds"] * bool(constant)
        said[row["experiment"], row["state"]] = flags
    return said


def summary_table(
    rows: pandas.DataFrame,
    random_weights: Collection[str] = (),
    folds: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> str:
    """Return one split's results as HTML tables: floors, intervals, clips scored.

    One has `SUMMARY`, and another, for real-valued states if there are any, `NUMBERS`.
    """
    real = rows["state"].isin(rows.loc[rows["metric"] == "ccc", "state"])
    tables = [] if real.any() and real.all() else [(rows[~real], SUMMARY, "")]
    if real.any():
        tables.append((rows[real], NUMBERS, f"<p>{OF_NUMBERS}</p>"))
    return "".join(
        said + _table(own, columns, random_weights, folds) for own, columns, said in tables
    )


def _table(
    rows: pandas.DataFrame,
    columns: Mapping[str, str],
    random_weights: Collection[str],
    folds: Mapping[tuple[str, str], Sequence[str]] | None,
) -> str:
    heads = ["experiment", "state", *columns.values()]
    parts = [f"<table>{table_head([*heads, 'scored of labelled'])}"]
    for experiment, own in rows.groupby("experiment", sort=False):
        lines = []
        for state, scores in own.groupby("state", sort=False):
            found = estimates(scores)
            more = (folds or {}).get((str(experiment), str(state)), [])
            flags = _flags(found, experiment in random_weights, more)
            lines.append(
                f"<td>{escape(str(state))}{''.join(flags)}</td>"
                + "".join(_cell(found, metric) for metric in columns)
                + f"<td class=number>{scores['n_scored'].iloc[0]:,} of "
                f"{scores['n_labelled'].iloc[0]:,}<br>"
                f"<span class=floor>{_subjects(found)}</span></td>"
            )
        name = f"<th scope=rowgroup rowspan={len(lines)}>{escape(str(experiment))}</th>"
        parts.append(f"<tbody><tr>{name}{'</tr><tr>'.join(lines)}</tr></tbody>")
    return "".join(parts) + "</table>"


def _spread(rows: pandas.DataFrame, random_weights: Collection[str]) -> str:
    rows = rows[rows["split"] == "test"]
    parts = []
    for columns in (SUMMARY, NUMBERS):
        own = rows[rows["state"].isin(rows.loc[rows["metric"] == next(iter(columns)), "state"])]
        if len(own):
            parts.append(_spread_table(own[own["metric"].isin(columns)], columns, random_weights))
    return "".join(parts)


def _spread_table(
    rows: pandas.DataFrame, columns: Mapping[str, str], random_weights: Collection[str]
) -> str:
    lines = []
    for (experiment, state), own in rows.groupby(["experiment", "state"], sort=False):
        by_metric = own.set_index("metric")
        cells = (
            f"{three(by_metric['mean'].get(metric, nan))} ± "
            f"{three(by_metric['sd'].get(metric, nan))}"
            for metric in columns
        )
        name = f"{experiment} (random weights)" if experiment in random_weights else experiment
        runs = f"{own['runs'].max()} {own['over'].iloc[0]}"
        lines.append([str(name), str(state), *cells, runs])
    return plain_table(["experiment", "state", *columns.values(), "runs"], lines)


def _flags(found: dict[str, Estimate], random: bool, more: Sequence[str]) -> list[str]:
    flags = list(more)
    if found["collapsed"].value == 1:
        flags.append("predicts one number" if "ccc" in found else "predicts one level")
    scored = found["mae" if "ccc" in found else "accuracy"]
    if isnan(scored.value):
        flags.append("not scored")
    elif isnan(scored.low):
        flags.append("no interval: one subject")
    if random:
        flags.append("random weights")
    return [f"<br><span class=flag>{flag}</span>" for flag in flags]


def _subjects(found: dict[str, Estimate]) -> str:
    scored, labelled = found["subjects_scored"].value, found["subjects_labelled"].value
    return f"{scored:,.0f} of {labelled:,.0f} subject" + "s" * (labelled != 1)


def _cell(found: dict[str, Estimate], metric: str) -> str:
    if metric not in found or isnan(found[metric].value):
        return "<td>–</td>"
    value, low, high, warning, _ = found[metric]
    floor, random = floors_of(found, metric)
    interval = "" if isnan(low) else f"[{three(low)}, {three(high)}]"
    text = three(value)
    if is_above(found, metric):
        text = f"<span class=above>{text} ▲</span>"
    return (
        f"<td class=number>{text} <span class=range>{interval}</span>{warned(warning)}<br>"
        f"<span class=floor>{_floors(metric, floor, random)}</span></td>"
    )


def _floors(metric: str, floor: float, random: float) -> str:
    if metric in NUMBERS:
        return "" if isnan(floor) else f"floor {three(floor)}"
    return f"floor {three(floor)}, random {three(random)}"


def three(value: float) -> str:
    """Return three decimals, and never -0.000."""
    return "–" if isnan(value) else f"{round(value, 3) + 0.0:.3f}"


def audit_html(audit: pandas.DataFrame) -> str:
    """Return the audit: counts per status and split, then the rows.

    Parameters
    ----------
    audit : pandas.DataFrame
        `clip_id, subject, split, status, detail`, a row per clip or label that is not used as it
        should be. Every text in it is escaped.

    Returns
    -------
    str
        An HTML document.
    """
    body = ["<h1>Clips and labels that are not used as they should be</h1>"]
    if audit.empty:
        return document("Audit", [*body, "<p>None: every clip and label is used.</p>"])
    audit = audit.fillna("").astype(str)
    counts = pandas.crosstab(audit["status"], audit["split"], margins=True, margins_name="total")
    lines = [[status, *(f"{count:,}" for count in row)] for status, *row in counts.itertuples()]
    heads = ["status", *(split or "no split" for split in counts.columns)]
    body += [plain_table(heads, lines), "<h2>Rows</h2>"]
    body.append(plain_table(list(audit.columns), audit.head(MOST_ROWS).to_numpy().tolist()))
    if len(audit) > MOST_ROWS:
        body.append(f"<p>And {len(audit) - MOST_ROWS:,} more, in dataset/audit.csv.</p>")
    return document("Audit", body)
