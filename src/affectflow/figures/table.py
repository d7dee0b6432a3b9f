"""The results and the audit as HTML tables that stand alone: no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape
from math import isnan

import pandas

from affectflow.evaluation.tables import Estimate, estimates

RANDOM = (
    "Numbers from random weights mean nothing about people; they only show that the pipeline works."
)
NOTES = (
    "The EU AI Act, Article 5(1)(f), prohibits inferring emotions of people in education, medical "
    "and safety reasons aside. These numbers are for research, not for judging students.",
    "DAiSEE's labels are crowd votes with known noise: part of each error is the label's.",
    "All of DAiSEE's participants are Asian, and 80 of 112 are male: nothing here says how a model "
    "does for other people.",
)
READING = (
    "The floor is what always predicting the most frequent training level scores on the same clips "
    "(kappa: 0); random is what drawing levels with their shares of the training labels scores on "
    "average. In brackets: 95 % intervals from resampling subjects. ▲: the whole interval is above "
    "both. A guess with other shares may score a little more macro-F1, but no guess lifts kappa or "
    "balanced accuracy: look for all three."
)
MOST_ROWS = 2000

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 1.5rem; max-width: 90rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 1.6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { font-weight: 600; } thead th { border-bottom: 2px solid #777; white-space: nowrap; }
tbody { border-bottom: 1px solid #bbb; }
tbody th { min-width: 9rem; max-width: 18rem; overflow-wrap: anywhere; }
td { overflow-wrap: break-word; max-width: 30rem; }
td.number, .flag { white-space: nowrap; }
.range, .floor { color: #666; font-size: .88em; }
.above { color: #0072b2; font-weight: 600; } .flag { color: #b04a00; font-weight: 600; }
ul.notes { border-left: 4px solid #e69f00; padding: .5rem 1rem .5rem 2rem; background: #fdf6e7; }
summary { cursor: pointer; margin-top: 1.2rem; font-weight: 600; }
"""


def results_html(results: pandas.DataFrame, random_weights: Collection[str] = ()) -> str:
    """Return the results table: the test split, then the others folded away.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`. Every text in it is escaped.
    random_weights : collection of str
        Experiments whose backbone has random weights: flagged, and said in the notes.

    Returns
    -------
    str
        An HTML document.
    """
    notes = [RANDOM] * bool(set(random_weights) & set(results["experiment"])) + list(NOTES)
    splits = sorted(results["split"].unique(), key=lambda split: split != "test")
    body = ["<h1>Results beside their floors</h1>", _list(notes), f"<p>{escape(READING)}</p>"]
    for split in splits:
        table = _results(results[results["split"] == split], random_weights)
        if split == "test":
            body.append(f"<h2>test split: subjects never seen in training</h2>{table}")
        else:
            body.append(f"<details><summary>{escape(split)} split</summary>{table}</details>")
    if not splits:
        body.append("<p>No experiment was scored.</p>")
    return _document("Results", body)


def _results(rows: pandas.DataFrame, random_weights: Collection[str]) -> str:
    heads = ["experiment", "state", "macro-F1", "kappa", "accuracy", "balanced accuracy"]
    parts = [f"<table>{_head([*heads, 'scored of labelled'])}"]
    for experiment, own in rows.groupby("experiment", sort=False):
        lines = []
        for state, scores in own.groupby("state", sort=False):
            found = estimates(scores)
            flags = _flags(found, experiment in random_weights)
            lines.append(
                f"<td>{escape(str(state))}{''.join(flags)}</td>"
                + _cell(found, "macro_f1")
                + _cell(found, "kappa")
                + _cell(found, "accuracy")
                + _cell(found, "balanced_accuracy")
                + f"<td class=number>{scores['n_scored'].iloc[0]:,} of "
                f"{scores['n_labelled'].iloc[0]:,}<br>"
                f"<span class=floor>{_subjects(found)}</span></td>"
            )
        name = f"<th scope=rowgroup rowspan={len(lines)}>{escape(str(experiment))}</th>"
        parts.append(f"<tbody><tr>{name}{'</tr><tr>'.join(lines)}</tr></tbody>")
    return "".join(parts) + "</table>"


def _flags(found: dict[str, Estimate], random: bool) -> list[str]:
    flags = []
    if found["collapsed"].value == 1:
        flags.append("predicts one level")
    if isnan(found["accuracy"].value):
        flags.append("not scored")
    elif isnan(found["accuracy"].low):
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
    value, low, high = found[metric]
    floor = 0.0 if metric == "kappa" else found[f"floor_{metric}"].value
    random = found[f"random_{metric}"].value
    # Where every draw is one level, random kappa is undefined.
    to_beat = floor if isnan(random) else max(floor, random)
    interval = "" if isnan(low) else f"[{_three(low)}, {_three(high)}]"
    # Without an interval low is NaN, and nothing is above.
    text = f"<span class=above>{_three(value)} ▲</span>" if low > to_beat else _three(value)
    return (
        f"<td class=number>{text} <span class=range>{interval}</span><br>"
        f"<span class=floor>floor {_three(floor)}, random {_three(random)}</span></td>"
    )


def _three(value: float) -> str:
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
        return _document("Audit", [*body, "<p>None: every clip and label is used.</p>"])
    audit = audit.fillna("").astype(str)
    counts = pandas.crosstab(audit["status"], audit["split"], margins=True, margins_name="total")
    lines = [[status, *(f"{count:,}" for count in row)] for status, *row in counts.itertuples()]
    heads = ["status", *(split or "no split" for split in counts.columns)]
    body += [_table(heads, lines), "<h2>Rows</h2>"]
    body.append(_table(list(audit.columns), audit.head(MOST_ROWS).to_numpy().tolist()))
    if len(audit) > MOST_ROWS:
        body.append(f"<p>And {len(audit) - MOST_ROWS:,} more, in dataset/audit.csv.</p>")
    return _document("Audit", body)


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in line) for line in lines)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>{_head(heads)}<tbody>{body}</tbody></table>"


def _head(heads: Iterable[str]) -> str:
    cells = "".join(f"<th scope=col>{escape(head)}</th>" for head in heads)
    return f"<thead><tr>{cells}</tr></thead>"


def _list(notes: Iterable[str]) -> str:
    return f"<ul class=notes>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>"


def _document(title: str, body: Iterable[str]) -> str:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
