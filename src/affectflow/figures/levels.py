"""How often each level occurs, per split and state: the dissertation's Figure 4.1."""

from __future__ import annotations

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from affectflow.dataset.index import SPREAD
from affectflow.dataset.tasks import Task
from affectflow.figures.style import SPLIT_COLOURS, panels, plain, say, styled

GROUP = 0.86  # of the space between levels


@styled
def draw(levels: pandas.DataFrame, tasks: list[Task]) -> Figure:
    """Draw the shares of the levels as bars, with counts, a panel per state.

    Parameters
    ----------
    levels : pandas.DataFrame
        The levels table: `split, state, level_0 .., total`, counts of clips; of a real-valued task
        `mean, sd, min, max`.
    tasks : list of Task
        Which states to draw, and their levels' names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    most = max((len(task.levels) or 4 for task in tasks), default=4)
    figure, grid = panels(len(tasks), 2 if most <= 5 else 1, max(5.4, 1.35 * most), 3.2)
    figure.suptitle("Labelled clips per level and split")
    for axes, task in zip(grid, tasks, strict=True):
        if task.kind == "real":
            _numbers(axes, levels[levels["state"] == task.name], task.name)
            continue
        place = np.arange(len(task.levels))
        width = GROUP / len(SPLIT_COLOURS)
        highest = 0.0
        for number, (split, colour) in enumerate(SPLIT_COLOURS.items()):
            row = levels[(levels["split"] == split) & (levels["state"] == task.name)]
            columns = [f"level_{level}" for level in place]
            counts = row[columns].sum().to_numpy(dtype=np.int64)
            if not counts.any():
                continue
            shares = 100 * counts / counts.sum()
            highest = max(highest, shares.max())
            bars = axes.bar(
                place - GROUP / 2 + (number + 0.5) * width,
                shares,
                width * 0.94,
                color=colour,
                label=f"{split} ({counts.sum():,})",
            )
            texts = [f"{n:,}\n{share:.1f}%" for n, share in zip(counts, shares, strict=True)]
            axes.bar_label(bars, texts, fontsize=6, padding=1.5)
        axes.set_title(plain(task.name, 24))
        if not highest:
            say(axes, "no labelled clip")
            continue
        axes.set_xticks(place, [plain(level, 16) for level in task.levels])
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("labelled clips of the split (%)")
        axes.set_ylim(0, highest * 1.15)
        axes.grid(axis="y")
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1, 1),
            borderaxespad=0.1,
            ncols=3,
            fontsize=7.5,
            columnspacing=1.2,
            handlelength=1.2,
        )
    return figure


def _numbers(axes: Axes, rows: pandas.DataFrame, name: str) -> None:
    """Draw range, deviation and mean of a real-valued task's labels, a line per split."""
    axes.set_title(plain(name, 24))
    known = rows[rows["total"] > 0].set_index("split")
    if known.empty:
        say(axes, "no labelled clip")
        return
    names = []
    for place, (split, colour) in enumerate(SPLIT_COLOURS.items()):
        names.append(split)
        if split not in known.index:
            continue
        total, mean, sd, least, most = known.loc[[split], ["total", *SPREAD]].to_numpy(float)[0]
        names[-1] = f"{split} ({total:,.0f})"
        axes.plot([least, most], [place, place], color=colour, lw=1)
        axes.plot([mean - sd, mean + sd], [place, place], color=colour, lw=5)
        axes.plot(mean, place, "o", color=colour, mec="white", ms=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("label: mean, standard deviation, range")
    axes.grid(axis="x")
