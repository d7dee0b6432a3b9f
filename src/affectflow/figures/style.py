"""How every figure looks, and how it reaches the disk with the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from affectflow.provenance.atomic import atomic

# Okabe and Ito (2008), told apart by colour-blind readers.
BLUE, ORANGE, GREEN, VERMILLION, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#222222"
GREY = "#777777"
SPLIT_COLOURS = {"train": BLUE, "validation": ORANGE, "test": GREEN}

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
    "svg.hashsalt": "affectflow",
    # Names come from users: a $ in one is a $, not a formula.
    "text.parse_math": False,
}

styled = matplotlib.rc_context(STYLE)


@styled
def save(figure: Figure, path: Path) -> None:
    """Write a figure as the SVG or PNG its name asks for; equal figures give equal bytes."""
    kind = Path(path).suffix.lstrip(".")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with atomic(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=metadata)


def plain(text: object, width: int = 40) -> str:
    """Return a name fit to draw: printable, on one line, cut in the middle beyond `width`."""
    line = "".join(char if char.isprintable() else " " for char in str(text))
    if len(line) <= width:
        return line
    tail = (width - 1) // 2
    return f"{line[: width - 1 - tail]}…{line[len(line) - tail :]}"


def two_lines(text: object, width: int = 28) -> str:
    """Return a name fit to draw in a column of `width`: broken once, cut beyond two lines."""
    line = plain(text, 2 * width)
    return line if len(line) <= width else f"{line[:width]}\n{line[width:]}"


def panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in rows of at most `columns`, each of the given inches.

    One empty panel stands where there is nothing to draw.
    """
    columns = min(max(count, 1), columns)
    rows = -(-max(count, 1) // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in grid[max(count, 1) :]:
        spare.set_axis_off()
    return figure, list(grid[: max(count, 1)])


def say(axes: Axes, text: str) -> None:
    """Let an empty panel say why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)
