"""Engagement confusion matrices of eight experiments: the dissertation's Figure 4.5."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from string import ascii_lowercase
from typing import Any

from matplotlib.figure import Figure

from affectflow.figures.confusion import panel
from affectflow.figures.style import VERMILLION, panels, say, styled
from affectflow.published.names import MATRICES
from affectflow.published.scores import NOT_RUN, RANDOM_WEIGHTS, SEVERAL_RUNS

STATE = "engagement"


@styled
def draw(
    metrics: Mapping[str, dict[str, Any]],
    split: str = "test",
    random_weights: Collection[str] = (),
    repeated: Collection[str] = (),
) -> Figure:
    """Draw label by predicted level, counts and per cent of the row, a panel per experiment.

    Parameters
    ----------
    metrics : mapping of str to dict
        Experiment -> as from `evaluation.report.evaluate`. What `names.MATRICES` has and this
        lacks is drawn as not run.
    split : str
    random_weights : collection of str
        Experiments whose backbone has random weights: said below the panel.
    repeated : collection of str
        Experiments with several runs: their panel leads to the runs' own figures.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, grid = panels(len(MATRICES), 4, 4.8, 4.4)
    figure.suptitle(f"{STATE}: {split} split (Figure 4.5)")
    for letter, axes, name in zip(ascii_lowercase, grid, MATRICES, strict=False):
        title = f"({letter}) {name}"
        scores = metrics[name]["splits"].get(split, {}).get(STATE) if name in metrics else None
        if scores is None:
            axes.set_title(title)
            says = NOT_RUN if name not in metrics else f"no {STATE} in the {split} split"
            if name in repeated:
                says = f"{SEVERAL_RUNS}: see each run's own figure"
            say(axes, says)
            continue
        panel(axes, title, scores)
        if name in random_weights:
            axes.set_xlabel(f"predicted ({RANDOM_WEIGHTS.upper()})", color=VERMILLION)
    return figure
