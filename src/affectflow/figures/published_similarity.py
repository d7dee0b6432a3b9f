"""What the dissertation states on its Figure 4.2 beside ours: a section of the published page."""

from __future__ import annotations

from html import escape
from math import isnan

import pandas

from affectflow.figures.page import bullets, table_head
from affectflow.published import similarity


def section(rows: pandas.DataFrame) -> list[str]:
    """Return the stated similarity with ours for each backbone, as parts of a page.

    Parameters
    ----------
    rows : pandas.DataFrame
        As from `published.similarity.compare_similarity`. Every text in it is escaped.
    """
    stated = similarity.stated()
    what = f"cosine similarity of frame {stated.frame} of {stated.frames} to the first"
    heads = ("backbone", "frame", "published", "ours: median clip", "clips")
    lines = []
    for row in rows.to_dict("records"):
        says = []
        if not isnan(row["ours"]):
            # No difference is neither more nor less.
            difference = round(row["difference"], 3)
            says.append(f"{row['ours']:.3f} " + (f"({difference:+.3f})" if difference else "(0)"))
            says.append(f"<span class=range>[{row['p5']:.3f}, {row['p95']:.3f}]</span>")
        if row["ours_note"]:
            kind = "flag" if says else "floor"
            says.append(f"<span class={kind}>{escape(row['ours_note'])}</span>")
        lines.append(
            f"<tr><th scope=row>{escape(str(row['backbone']))}</th>"
            f"<td>{row['frame']:,} of {row['frames']:,}</td>"
            f"<td class=number>{row['published']:g}</td>"
            f"<td class=number>{'<br>'.join(says)}</td><td class=number>{row['clips']:,}</td></tr>"
        )
    table = f"<table>{table_head(heads)}<tbody>{''.join(lines)}</tbody></table>"
    return [f"<h2>Figure 4.2: {escape(what)}</h2>", table, bullets(similarity.NOTES)]
