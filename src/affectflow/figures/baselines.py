"""Accuracy of two baselines and three architectures: the dissertation's Figure 4.3, with ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from affectflow.figures.style import BLACK, BLUE, GREY, ORANGE, panels, say, styled
from affectflow.published import numbers
from affectflow.published.names import BASELINES, LAYOUT, STATES, VANILLA
from affectflow.published.numbers import ACCURACY
from affectflow.published.scores import NOT_RUN, NOT_SCORED, Scores

WIDTH = 0.4
OURS = "ours, 95 % interval over subjects"
OURS_RANDOM = "ours on random weights: says nothing about people"
LABELS = {
    "c3d_finetuned": "C3D\nfine-tuned",
    "lrcn": "LRCN",
    "experiment_2": "experiment 2\nteacher",
    "experiment_3": "experiment 3\nResNet-18",
    "experiment_4": "experiment 4\nInception-\nResNet-V1",
}


@styled
def draw(
    results: pandas.DataFrame,
    layout: str,
    random_weights: Collection[str] = (),
    over_runs: pandas.DataFrame | None = None,
) -> Figure:
    """Draw published and our test accuracy side by side, a panel per state, beside the floor.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`.
    layout : str
        The study's `dataset.layout`; only DAiSEE's is compared.
    random_weights : collection of str
        Experiments whose backbone has random weights: hatched.
    over_runs : pandas.DataFrame, optional
        As from `evaluation.spread.spread`: of experiments with several seeds the mean is drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    scores = Scores(results, random_weights, over_runs)
    if layout != LAYOUT:
        figure, (axes,) = panels(1, 1, 6.4, 2.4)
        say(axes, "nothing to compare: this study is not of DAiSEE's layout")
        return figure
    figure, grid = panels(len(STATES), 2, 6.0, 3.6)
    figure.suptitle("Test accuracy of baselines and vanilla architectures (Figure 4.3)")
    published = {row["state"]: row for row in numbers.baselines().to_dict("records")}
    for axes, state in zip(grid, STATES, strict=True):
        _published(axes, [published[state][name] for name in LABELS], _floor(state))
        for place, name in enumerate(VANILLA, start=len(BASELINES)):
            _ours(axes, place + WIDTH / 2, scores, name, state)
        axes.set_title(f"{state}: floor {_floor(state):.1f} %")
        axes.set_xticks(range(len(LABELS)), list(LABELS.values()), fontsize=8)
        axes.set_xlim(-0.5, len(LABELS) - 0.5)
        axes.set_ylim(0, 100)
        axes.set_ylabel("accuracy (%)")
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y")
    legend: dict[str, Artist] = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        legend |= zip(labels, handles, strict=True)
    figure.legend(
        list(legend.values()), list(legend), loc="outside lower center", ncols=2, fontsize=8
    )
    return figure


def _floor(state: str) -> float:
    """Return the accuracy (%) of always predicting the commonest level of Table 4.1's test split.

    In all four states that is the commonest level of the training split, too.
    """
    table = numbers.levels()
    row = table[(table["split"] == "test") & (table["state"] == state)]
    counts = row[list(numbers.COUNTS[:-1])].to_numpy()
    return float(100 * counts.max() / counts.sum())


def _published(axes: Axes, values: Sequence[float], floor: float) -> None:
    # A baseline stands alone in its place.
    shift = [0.0 if name in BASELINES else -WIDTH / 2 for name in LABELS]
    place = np.arange(len(LABELS)) + shift
    bars = axes.bar(place, values, WIDTH * 0.94, color=BLUE, label="published (Table 4.7)")
    texts = [f"{value:.1f}" for value in values]
    axes.bar_label(bars, texts, label_type="center", fontsize=7, color="white")
    label = "floor: always the commonest level (Table 4.1, test)"
    axes.axhline(floor, color=BLACK, lw=1.2, ls="--", label=label)


def _ours(axes: Axes, place: float, scores: Scores, experiment: str, state: str) -> None:
    found = scores.ours(experiment, state, ACCURACY)
    value, low, high = found["ours"], found["ci_low"], found["ci_high"]
    if found["ours_note"] in (NOT_RUN, NOT_SCORED):
        axes.text(
            place,
            2,
            found["ours_note"],
            rotation=90,
            ha="center",
            va="bottom",
            color=GREY,
            fontsize=8,
        )
        return
    random = scores.is_random(experiment)
    if random:
        bar = axes.bar(place, value, WIDTH * 0.94, color="white", label=OURS_RANDOM)
        bar.patches[0].set(edgecolor=ORANGE, hatch="////")
    else:
        axes.bar(place, value, WIDTH * 0.94, color=ORANGE, label=OURS)
    if not np.isnan(low):
        axes.plot([place, place], [low, high], color=BLACK, lw=1.4)
    text = f"{value:.1f}"
    if seeds := scores.seeds(experiment, state, "accuracy"):
        text += f"\nmean of\n{seeds.runs} seeds"
    if folds := scores.folds(experiment):
        text += f"\n{folds} folds"
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8} if random else None
    axes.text(place, value / 2, text, ha="center", va="center", fontsize=7, bbox=box)
    floor = 100 * scores.value(experiment, state, "floor_accuracy")
    side = WIDTH * 0.47
    axes.plot(
        [place - side, place + side], [floor, floor], color=BLACK, lw=2, label="floor of our clips"
    )
