"""All experiments at a glance: which are above their floor, state by state."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from affectflow.evaluation.tables import Estimate, estimates, floors_of, is_above
from affectflow.figures.style import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    panels,
    plain,
    say,
    styled,
    two_lines,
)

COLUMNS = 2
KINDS = ("", "floor_", "random_")
# Some guess may lift macro-F1 a little above both floors; no guess lifts this.
GUESS_PROOF = "balanced_accuracy"
TITLES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy"}
TITLES |= {"ccc": "concordance (CCC)"}
# Of a real-valued state.
OF_NUMBERS = "ccc"
FLOOR: dict[str, Any] = {"marker": "|", "ms": 13, "mew": 2.5, "color": BLACK}
RANDOM: dict[str, Any] = FLOOR | {"color": GREY}
ABOVE: dict[str, Any] = {"marker": "o", "ms": 7, "color": BLUE}
NOT_ABOVE = ABOVE | {"mfc": "white"}
ONE_LEVEL = ABOVE | {"marker": "X", "color": VERMILLION}
WHOLE: dict[str, Any] = {"lw": 1.6}
# More than a twentieth of the resamples lack a level.
LOST = WHOLE | {"ls": (0, (1.5, 1.2))}
LEGEND = {
    "above both floors, in balanced accuracy too": ABOVE,
    "not shown to beat a constant or a guess": NOT_ABOVE,
    "predicts one level": ONE_LEVEL,
    "floor: always the majority level": FLOOR,
    "floor: drawn with training's shares": RANDOM,
    "interval too narrow: resamples lack a level": LOST | {"color": BLUE},
}


@styled
def draw(
    results: pandas.DataFrame,
    split: str = "test",
    metric: str = "macro_f1",
    folds: Mapping[str, int] | None = None,
) -> Figure:
    """Draw a metric with its 95% interval and its floors, a panel per state, a row per experiment.

    Parameters
    ----------
    results : pandas.DataFrame
        As from `evaluation.tables.results_table`.
    split : str
    metric : {"macro_f1", "accuracy", "balanced_accuracy"}
    folds : mapping or None
        Experiment -> in how many folds all subjects were tested: said beside its name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = results[results["split"] == split]
    states = list(dict.fromkeys(rows["state"]))
    experiments = list(dict.fromkeys(rows["experiment"]))
    figure, grid = panels(len(states), COLUMNS, 3.6, max(1.2, 0.38 * len(experiments)) + 1.0)
    figure.set_figwidth(figure.get_figwidth() + 2.4)
    figure.suptitle(f"{TITLES[metric]} on the {plain(split)} split, 95 % intervals over subjects")
    if rows.empty:
        say(grid[0], f"no clip in the {plain(split)} split")
        return figure
    found = {key: estimates(own) for key, own in rows.groupby(["state", "experiment"], sort=False)}
    shown = {
        state: OF_NUMBERS if OF_NUMBERS in set(own["metric"]) else metric
        for state, own in rows.groupby("state", sort=False)
    }
    titles = " and ".join(TITLES[name] for name in dict.fromkeys(shown.values()))
    figure.suptitle(f"{titles} on the {plain(split)} split, 95 % intervals over subjects")
    drawn = rows[rows["metric"].isin([f"{kind}{m}" for m in shown.values() for kind in KINDS])]
    right = min(1.02, 1.12 * np.nanmax([*drawn["value"], *drawn["ci_high"], 0.1]))
    for number, (axes, state) in enumerate(zip(grid, states, strict=False)):
        for place, experiment in enumerate(experiments):
            _row(axes, place, found[state, experiment], shown[state])
        axes.set_title(plain(state, 24))
        # Concordance may be below 0.
        axes.set_xlim(0 if shown[state] == metric else -right, right)
        axes.set_ylim(len(experiments) - 0.4, -0.6)
        axes.set_xlabel(TITLES[shown[state]])
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        first = number % COLUMNS == 0
        axes.set_yticks(
            range(len(experiments)),
            [_name(name, folds or {}) if first else "" for name in experiments],
        )
    handles = [Line2D([], [], label=label, **{"ls": "", **look}) for label, look in LEGEND.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _name(experiment: str, folds: Mapping[str, int]) -> str:
    said = f" (all subjects, {folds[experiment]} folds)" if experiment in folds else ""
    return two_lines(experiment + said)


def _row(axes: Axes, place: int, found: dict[str, Estimate], metric: str) -> None:
    point = found[metric]
    if isnan(point.value):
        axes.text(0.01, place, "not scored", va="center", fontsize=8)
        return
    if found["collapsed"].value == 1:
        look = ONE_LEVEL
    elif all(is_above(found, name) for name in {metric, GUESS_PROOF} & found.keys()):
        look = ABOVE
    else:
        look = NOT_ABOVE
    line = LOST if point.warning else WHOLE
    axes.plot([point.low, point.high], [place, place], color=look["color"], **line)
    for floor, mark in zip(floors_of(found, metric), (FLOOR, RANDOM), strict=True):
        axes.plot(floor, place, **mark)
    axes.plot(point.value, place, **look)
