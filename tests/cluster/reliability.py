"""The table of docs/reliability.md, from what the tests saw."""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->"
HEAD = "| fault | what happened | test |\n|---|---|---|\n"


def write_table(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Replace the table in a document."""
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    lines = [f"| {fault} | {what} | `{test}` |\n" for fault, what, test in rows]
    path.write_text(f"{before}{BEGIN}{HEAD}{''.join(lines)}{END}{after}")


def named_in(path: Path) -> set[str]:
    """Return the names of the tests that the table names."""
    table = path.read_text().split(BEGIN)[1].split(END)[0]
    return {line.split("|")[3].strip(" `") for line in table.splitlines()[2:]}
