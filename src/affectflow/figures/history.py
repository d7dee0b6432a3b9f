"""Loss against epochs: the dissertation's Figure 4.6."""

from __future__ import annotations

import pandas
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from affectflow.figures.style import BLUE, GREY, ORANGE, panels, plain, say, styled

LOSSES = {"train_loss": ("train", BLUE, "-"), "validation_loss": ("validation", ORANGE, "--")}


@styled
def draw(history: pandas.DataFrame, experiment: str, best_epoch: int | None = None) -> Figure:
    """Draw train and validation loss, and mark the epoch whose weights were kept.

    Parameters
    ----------
    history : pandas.DataFrame
        A row per epoch: `epoch, train_loss, validation_loss`.
    experiment : str
    best_epoch : int, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (axes,) = panels(1, 1, 6.4, 3.8)
    if history.empty:
        say(axes, "no epoch was run")
        return figure
    axes.set_title(plain(experiment, 60))
    marker = "o" if len(history) <= 30 else None
    for column, (name, colour, line) in LOSSES.items():
        if column in history and history[column].notna().any():
            axes.plot(
                history["epoch"],
                history[column],
                line,
                color=colour,
                marker=marker,
                ms=4,
                label=name,
            )
    if best_epoch is not None:
        axes.axvline(
            best_epoch, color=GREY, linestyle=":", zorder=0, label=f"kept: epoch {best_epoch}"
        )
    axes.set_xlabel("epoch")
    axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
    axes.set_ylabel("loss, summed over states")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y")
    axes.legend()
    return figure
