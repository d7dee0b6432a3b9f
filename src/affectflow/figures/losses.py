"""Loss against epochs of the three vanilla architectures: the dissertation's Figure 4.6."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isnan, nan

import pandas
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from affectflow.figures.history import LOSSES
from affectflow.figures.style import GREY, VERMILLION, panels, say, styled
from affectflow.published.names import VANILLA
from affectflow.published.scores import NOT_RUN, RANDOM_WEIGHTS, SEVERAL_RUNS

TITLES = {
    "experiment_2": "experiment 2: teacher network + LSTM",
    "experiment_3": "experiment 3: ResNet-18 + LSTM",
    "experiment_4": "experiment 4: Inception-ResNet-V1 + LSTM",
}
UNPUBLISHED = "Ours alone: the published curves are a picture, not available as numbers."


@styled
def draw(
    histories: Mapping[str, pandas.DataFrame],
    random_weights: Collection[str] = (),
    repeated: Collection[str] = (),
) -> Figure:
    """Draw train and validation loss on one scale, a panel per architecture.

    Parameters
    ----------
    histories : mapping of str to pandas.DataFrame
        Experiment -> a row per epoch: `epoch, train_loss, validation_loss`. What `names.VANILLA`
        has and this lacks is drawn as not run.
    random_weights : collection of str
        Experiments whose backbone has random weights: said in the panel's title.
    repeated : collection of str
        Experiments with several runs: their panel leads to the runs' own figures.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, grid = panels(len(VANILLA), 3, 4.4, 3.6)
    figure.suptitle("Loss against epochs of the three vanilla architectures (Figure 4.6)")
    figure.supxlabel(UNPUBLISHED, fontsize=8, color=GREY)
    highest = {name: float(own[list(LOSSES)].max().max()) for name, own in histories.items()}
    drawn = [name for name in VANILLA if not isnan(highest.get(name, nan))]
    top = max((highest[name] for name in drawn), default=1.0)
    for axes, name in zip(grid, VANILLA, strict=True):
        axes.set_title(TITLES[name])
        if name not in drawn:
            says = "no epoch was run" if name in histories else NOT_RUN
            if name in repeated:
                says = f"{SEVERAL_RUNS}: see each run's own figure"
            say(axes, f"{name}: {says}")
            continue
        if name in random_weights:
            axes.set_title(f"{TITLES[name]}\n{RANDOM_WEIGHTS.upper()}", color=VERMILLION)
        history = histories[name]
        marker = "o" if len(history) <= 30 else None
        for column, (label, colour, line) in LOSSES.items():
            if history[column].notna().any():
                loss = history[column]
                axes.plot(
                    history["epoch"], loss, line, color=colour, marker=marker, ms=4, label=label
                )
        axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
        axes.set_ylim(0, 1.05 * top)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss, summed over states")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        axes.legend()
    return figure
