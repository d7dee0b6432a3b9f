"""Published numbers beside ours, as an HTML page that stands alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import Any

import pandas

from affectflow.figures.page import NOTES, RANDOM, bullets, document, listed
from affectflow.figures.published_similarity import section
from affectflow.published import numbers
from affectflow.published.names import BASELINES, VANILLA
from affectflow.published.notes import table_notes
from affectflow.published.numbers import ACCURACY, COUNTS, METRICS
from affectflow.published.scores import SEPARATOR

TITLE = "Published numbers beside ours"
NOTHING = (
    "There is nothing to compare: this study is not of DAiSEE's layout, or has none of the "
    "dissertation's experiments (experiment_1 to experiment_11)."
)
READING = (
    "Beside each published number: ours on the test split, in round brackets the difference (ours "
    "minus published: percentage points for accuracy, absolute for F1, clips in Table 4.1), in "
    "square brackets the 95 % interval from resampling subjects. NA: the dissertation has none. "
    "Not run: this run lacks the experiment. 3 seeds: the mean of so many trainings, after ± their "
    "standard deviation; a mean has no interval over subjects. Random weights: the backbone's, so "
    "the number says nothing. Experiments are compared by name: whether one has the settings of "
    "Table 4.2 is for the study's config to say. Published numbers have no interval, so a small "
    "difference says nothing. Superscripts lead to what is known to be wrong with a published "
    "number."
)
OTHER_CLIPS = (
    "The labels of this run are not those of Table 4.1, so the scores below are not of the same "
    "clips: {ours} labelled test clips here, {published} published."
)
HEADS = {
    "total": "total",
    ACCURACY: "accuracy (%)",
    "c3d_finetuned": "C3D, fine-tuned",
    "lrcn": "LRCN",
    "experiment_2": "experiment_2: teacher network + LSTM",
    "experiment_3": "experiment_3: ResNet-18 + LSTM",
    "experiment_4": "experiment_4: Inception-ResNet-V1 + LSTM",
}


@dataclass(frozen=True)
class Shape:
    """Which columns of the tidy table name the rows of a printed one, and which its columns.

    All of `rows` but the last name a group of rows.
    """

    rows: tuple[str, ...]
    column: str
    columns: tuple[str, ...]


ONE_STATE = Shape(("experiment",), "metric", METRICS)
STATES = Shape(("state", "experiment"), "metric", METRICS)
SHAPES = {
    "4.1": Shape(("split", "state"), "metric", COUNTS),
    "4.3": ONE_STATE,
    "4.4": ONE_STATE,
    "4.5": ONE_STATE,
    "4.6": ONE_STATE,
    "4.7": Shape(("state",), "experiment", (*BASELINES, *VANILLA)),
    "4.13": Shape(("state", "choice", "experiment"), "metric", METRICS),
}


def published_html(
    rows: pandas.DataFrame,
    random_weights: Collection[str] = (),
    similarities: pandas.DataFrame | None = None,
    about: Collection[str] = (),
) -> str:
    """Return the dissertation's Tables 4.1 and 4.3 to 4.13 with this run's numbers.

    Parameters
    ----------
    rows : pandas.DataFrame
        As from `published.compare.compare`. Every text in it is escaped. Without rows the page
        says that there is nothing to compare.
    random_weights : collection of str
        Experiments whose backbone has random weights: said in the notes.
    similarities : pandas.DataFrame, optional
        As from `published.similarity.compare_similarity`: what is stated on Figure 4.2, after
        Table 4.1.
    about : collection of str
        What is to be said of the data set's people and labels.

    Returns
    -------
    str
        An HTML document.
    """
    if rows.empty:
        return document(TITLE, [f"<h1>{TITLE}</h1>", f"<p>{escape(NOTHING)}</p>"])
    run = rows.loc[rows["ours"].notna() & rows["experiment"].ne(""), "experiment"]
    notes = [RANDOM] * bool(set(random_weights) & set(run)) + [*NOTES, *about]
    notes += _other_clips(rows)
    body = [
        f"<h1>{TITLE}</h1>",
        f"<p>Published: {escape(numbers.SOURCE)}.</p>",
        listed(notes),
        f"<p>{escape(READING)}</p>",
    ]
    for table in numbers.tables().values():
        own = rows[rows["table"] == table.number]
        body.append(f"<h2>Table {table.number}: {escape(table.title)}</h2>")
        body += _table(own, SHAPES.get(table.number, STATES))
        body.append(bullets(table_notes(table.number)))
        if table.number == "4.1" and similarities is not None and len(similarities):
            body += section(similarities)
    return document(TITLE, body)


def _other_clips(rows: pandas.DataFrame) -> list[str]:
    labels = rows[rows["table"] == "4.1"]
    if labels["difference"].eq(0).all():
        return []
    total = labels[(labels["split"] == "test") & (labels["metric"] == "total")].iloc[0]
    ours = "no" if isnan(total["ours"]) else f"{total['ours']:,.0f}"
    return [OTHER_CLIPS.format(ours=ours, published=f"{total['published']:,.0f}")]


def _table(rows: pandas.DataFrame, shape: Shape) -> list[str]:
    """Return a table, and the notes that its superscripts lead to."""
    noted = [note for note in dict.fromkeys(rows["note"]) if note]
    marks = {note: f"<sup>{number}</sup>" for number, note in enumerate(noted, start=1)}
    parts = [f"<table>{_head(shape)}"]
    *group, _ = shape.rows
    if not group:
        parts.append(f"<tbody><tr>{'</tr><tr>'.join(_lines(rows, shape, marks))}</tr></tbody>")
    else:
        for names, own in rows.groupby(group, sort=False):
            lines = _lines(own, shape, marks)
            head = (
                f"<th scope=rowgroup rowspan={len(lines)}>{escape(', '.join(map(str, names)))}</th>"
            )
            parts.append(f"<tbody><tr>{head}{'</tr><tr>'.join(lines)}</tr></tbody>")
    items = "".join(f"<li>{escape(note)}</li>" for note in noted)
    return ["".join(parts) + "</table>", f"<ol>{items}</ol>" if noted else ""]


def _head(shape: Shape) -> str:
    *group, last = shape.rows
    names = [", ".join(group), last] if group else [last]
    upper = [f"<th scope=col rowspan=2>{name}</th>" for name in names]
    lower, columns = [], [f"<colgroup span={len(names)}></colgroup>"]
    for column in shape.columns:
        parts = ["published"] if column in BASELINES else ["published", "ours"]
        title = HEADS.get(column, column.replace("f1_", "F1 ").replace("_", " "))
        upper.append(f"<th scope=colgroup colspan={len(parts)}>{escape(title)}</th>")
        lower += [f"<th scope=col>{part}</th>" for part in parts]
        border = "border-left: 1px solid #bbb"
        columns.append(f'<colgroup span={len(parts)} style="{border}"></colgroup>')
    return f"{''.join(columns)}<thead><tr>{''.join(upper)}</tr><tr>{''.join(lower)}</tr></thead>"


def _lines(rows: pandas.DataFrame, shape: Shape, marks: Mapping[str, str]) -> list[str]:
    """Return the cells of each row, without the name of its group."""
    lines = []
    for name, row in rows.groupby(shape.rows[-1], sort=False):
        cells: dict[str, Any] = {cell[shape.column]: cell for cell in row.to_dict("records")}
        pairs = "".join(_pair(cells[column], marks) for column in shape.columns)
        lines.append(f"<th scope=row>{escape(str(name))}</th>{pairs}")
    return lines


def _pair(cell: Mapping[str, Any], marks: Mapping[str, str]) -> str:
    """Return the cells of a published number and of ours; a baseline has the first alone."""
    decimals = 0 if cell["metric"] in COUNTS else 2 if cell["metric"] == ACCURACY else 3
    theirs = f"<td class=number>{_printed(cell['published'])}{marks.get(cell['note'], '')}</td>"
    if cell["experiment"] in BASELINES:
        return theirs
    if isnan(cell["ours"]):
        says = escape(cell["ours_note"] or "none")
        return f"{theirs}<td><span class=floor>{says}</span></td>"
    ours = f"{cell['ours']:,.{decimals}f}"
    if not isnan(cell["difference"]):
        difference = round(cell["difference"], decimals)
        ours += f" ({difference:+,.{decimals}f})" if difference else " (0)"
    if not isnan(cell["ci_low"]):
        low, high = (f"{cell[end]:.{decimals}f}" for end in ("ci_low", "ci_high"))
        ours += f"<br><span class=range>[{low}, {high}]</span>"
    for flag in filter(None, cell["ours_note"].split(SEPARATOR)):
        ours += f"<br><span class=flag>{escape(flag)}</span>"
    return f"{theirs}<td class=number>{ours}</td>"


def _printed(published: float) -> str:
    """Return a published number with no more digits than it was printed with."""
    if isnan(published):
        return "NA"
    return f"{published:,.0f}" if published >= 1000 else f"{published:g}"
