"""What was found in two splits, as an HTML page that stands alone."""

from __future__ import annotations

from html import escape
from math import isnan

from affectflow.evaluation.leaks import NOT_FLAGGED, VERDICTS, Leaks
from affectflow.figures.page import document, plain_table
from affectflow.figures.table import MOST_ROWS

SPLITS = "Subjects and clips in two splits"
FOLDS = "Clips of two subjects that look like one"


def leaks_html(leaks: Leaks, backbone: str, folds: bool = False) -> str:
    """Return counts per verdict, how they were reached, and the rows.

    Parameters
    ----------
    leaks : Leaks
        Every text in it is escaped.
    backbone : str
        Whose embeddings were compared.
    folds : bool
        Whether they were compared for folds.

    Returns
    -------
    str
        An HTML document.
    """
    rows, shown = leaks.rows, leaks.rows.head(MOST_ROWS)
    counts = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}
    flagged = len(rows) - counts[NOT_FLAGGED]
    result = (
        f"<span class=flag>{flagged:,} flagged: look at them before trusting a number.</span>"
        if flagged
        else "None found."
    )
    body = [
        f"<h1>{FOLDS if folds else SPLITS}: {escape(backbone)}</h1>",
        f"<p>{result}</p>",
        f"<p>{_method(leaks, folds)}</p>",
    ]
    if not rows.empty:
        texts = shown.assign(
            distance=[_number(value) for value in shown["distance"]],
            threshold=[_number(value) for value in shown["threshold"]],
        )
        lines = [[verdict, f"{count:,}"] for verdict, count in counts.items()]
        body += [
            plain_table(["verdict", "rows"], lines),
            "<h2>Flagged, then the nearest that are not</h2>",
            plain_table(list(texts.columns), texts.astype(str).to_numpy().tolist()),
        ]
    if len(rows) > len(shown):
        body.append(f"<p>And {len(rows) - len(shown):,} more, in the CSV.</p>")
    return document("Leaks", body)


def _method(leaks: Leaks, folds: bool) -> str:
    counted = f"{leaks.compared:,} {'' if folds else 'validation and test '}clips"
    before = (
        "clips of other subjects before it: with folds, any two subjects can be on two sides"
        if folds
        else "clips of the splits before it"
    )
    compared = (
        f"Each of {counted} (of {leaks.expected:,}; the others have no face, or nothing to compare "
        f"with) was compared with the {before}. "
    )
    if isnan(leaks.threshold):
        return compared + "Nowhere are two subjects, so only exact duplicates can be told."
    same, other = _number(leaks.same_subject), _number(leaks.other_subject)
    usual = (
        "Within the splits, copies passed over, the median distance to the nearest other clip of "
        "the same subject is "
        f"{same}, to that of another subject {other}. "
    )
    if leaks.same_subject >= leaks.other_subject:
        usual += (
            "So this backbone does not tell people apart, and may miss a copy that was changed. "
        )
    return compared + usual + f"Nearer than {_number(leaks.threshold)} is a near-duplicate."


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:.6f}"
