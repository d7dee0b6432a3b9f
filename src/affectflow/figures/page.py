"""What the report's pages share: they stand alone, without a script, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

RANDOM = (
    "Numbers from random weights mean nothing about people; they only show that the pipeline works."
)
NOTES = (
    "The EU AI Act, Article 5(1)(f), prohibits inferring emotions of people in education, medical "
    "and safety reasons aside. These numbers are for research, not for judging students.",
)
"""Of every data set; what is true of one comes from `affectflow.dataset.about`."""
WARNED = (
    "⚠: more than a twentieth of the resamples lack what the metric needs, such as a level that "
    "few subjects have; the interval rests on the others, and is too narrow."
)

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 1.5rem; max-width: 90rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 1.6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { font-weight: 600; } thead th { border-bottom: 2px solid #777; }
tbody { border-bottom: 1px solid #bbb; }
tbody th { min-width: 9rem; max-width: 18rem; overflow-wrap: anywhere; }
td { overflow-wrap: break-word; max-width: 30rem; }
td.number, .flag { white-space: nowrap; } td.number .flag { font-size: .88em; }
.range, .floor { color: #666; font-size: .88em; }
.above { color: #0072b2; font-weight: 600; } .flag { color: #b04a00; font-weight: 600; }
ul.notes { border-left: 4px solid #e69f00; padding: .5rem 1rem .5rem 2rem; background: #fdf6e7; }
summary { cursor: pointer; margin-top: 1.2rem; font-weight: 600; }
"""


def plain_table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return a table of texts; every one is escaped."""
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in line) for line in lines)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>{table_head(heads)}<tbody>{body}</tbody></table>"


def table_head(heads: Iterable[str]) -> str:
    """Return a table's head; every name is escaped."""
    cells = "".join(f"<th scope=col>{escape(head)}</th>" for head in heads)
    return f"<thead><tr>{cells}</tr></thead>"


def listed(notes: Iterable[str]) -> str:
    """Return notes as a list; every one is escaped."""
    return f"<ul class=notes>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>"


def bullets(notes: Iterable[str]) -> str:
    """Return notes as a plain list, nothing where there is none; every one is escaped."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>" if items else ""


def warned(warning: str) -> str:
    """Return what stands below an interval with a warning: on how many resamples it rests."""
    resamples = warning.split(":")[0].removeprefix("interval from ")
    return f"<br><span class=flag>⚠ {escape(resamples)}</span>" if warning else ""


def document(title: str, body: Iterable[str]) -> str:
    """Return an HTML document; `title` and `body` are HTML already."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
