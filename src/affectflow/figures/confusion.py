"""One experiment's confusion matrices: the dissertation's Figure 4.5, for every state."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from affectflow.figures.style import VERMILLION, panels, plain, say, styled


@styled
def draw(metrics: dict[str, Any], experiment: str, split: str = "test") -> Figure:
    """Draw label by predicted level, counts and per cent of the row, a panel per state.

    Parameters
    ----------
    metrics : dict
        As from `evaluation.report.evaluate`.
    experiment : str
    split : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    states = metrics["splits"].get(split, {})
    most = max((len(scores["levels"]) or 4 for scores in states.values()), default=4)
    side = max(4.4, 0.8 * most + 1.2)
    figure, grid = panels(len(states), 2, side + 0.4, side)
    figure.suptitle(f"{plain(experiment, 60)}: {split} split")
    if not states:
        say(grid[0], f"no clip in the {split} split")
    for axes, (state, scores) in zip(grid, states.items(), strict=False):
        panel(axes, state, scores)
    return figure


def panel(axes: Axes, state: str, scores: dict[str, Any]) -> None:
    """Draw one confusion matrix, with what it is worth above it."""
    title = axes.set_title(plain(state))
    if not scores["n_scored"]:
        say(axes, f"none of {scores['n_labelled']:,} labelled clips was scored")
        return
    if scores["kind"] == "real":
        say(axes, "\n".join(_lines_of_numbers(scores)))
        return
    confusion = np.array(scores["confusion"], dtype=np.int64)
    support = confusion.sum(axis=1, keepdims=True)
    share = 100 * confusion / np.maximum(support, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), count in np.ndenumerate(confusion):
        per_cent = f"\n{share[row, column]:.0f}%" if support[row, 0] else ""
        axes.text(
            column,
            row,
            f"{count:,}{per_cent}",
            ha="center",
            va="center",
            fontsize=9 if len(confusion) <= 5 else 7,
            color="white" if share[row, column] > 55 else "black",
        )
    names = [plain(level, 12) for level in scores["levels"]]
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 4 else 40)
    rows = [f"{name}\n({count:,})" for name, count in zip(names, support[:, 0], strict=True)]
    axes.set_yticks(range(len(names)), rows)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label (clips)")
    lines = _lines(scores)
    axes.set_title(plain(state), pad=6 + 12 * len(lines))
    if scores["predicts_one_level"]:
        title.set(text=f"{plain(state, 20)}: PREDICTS ONE LEVEL", color=VERMILLION)
        axes.spines[:].set(visible=True, color=VERMILLION, linewidth=2.5)
    axes.text(0, 1.015, "\n".join(lines), transform=axes.transAxes, va="bottom", fontsize=8)


def _lines(scores: dict[str, Any]) -> list[str]:
    metrics = scores["metrics"]
    lines = []
    if "kappa" in metrics:
        lines.append(f"κ {_value(metrics['kappa'])} (floor 0.00)")
    floor = metrics["floor_macro_f1"]["value"]
    lines.append(f"macro-F1 {_value(metrics['macro_f1'])} (floor {floor:.2f})")
    return [*lines, _counts(scores)]


def _lines_of_numbers(scores: dict[str, Any]) -> list[str]:
    metrics = scores["metrics"]
    lines = ["real-valued: no levels to confuse"]
    for name, title in (("ccc", "concordance"), ("mae", "mean absolute error")):
        floor = metrics[f"floor_{name}"]["value"]
        said = "" if floor is None else f" (floor {floor:.2f})"
        lines.append(f"{title} {_value(metrics[name])}{said}")
    return [*lines, _counts(scores)]


def _counts(scores: dict[str, Any]) -> str:
    return (
        f"{scores['n_scored']:,} of {scores['n_labelled']:,} labelled clips scored, "
        f"{scores['n_subjects']:,} subject" + "s" * (scores["n_subjects"] != 1)
    )


def _value(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "undefined"
    if entry["ci_low"] is None:
        return f"{entry['value']:.2f}, no interval"
    # A warning: too many resamples lack a level, and the interval is too narrow.
    mark = "⚠" if "ci_warning" in entry else ""
    return f"{entry['value']:.2f} [{entry['ci_low']:.2f}, {entry['ci_high']:.2f}]{mark}"
