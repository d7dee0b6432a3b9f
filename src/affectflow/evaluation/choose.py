"""A sweep's members side by side on the validation split, and which of them is chosen."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.evaluation.report import evaluate
from affectflow.evaluation.tables import results_table
from affectflow.provenance.atomic import write_text

log = logging.getLogger(__name__)

SPLIT = "validation"


def validation_results(
    predictions: Mapping[str, pandas.DataFrame],
    clips: pandas.DataFrame,
    tasks: list[Task],
    resamples: int = 1000,
    seed: int = 1,
) -> pandas.DataFrame:
    """Score runs on the validation split; the test split is taken away first.

    Parameters
    ----------
    predictions : mapping of str to pandas.DataFrame
        By run, as `affectflow.evaluation.report.evaluate` takes them.
    clips, tasks, resamples, seed
        See `affectflow.evaluation.report.evaluate`.

    Returns
    -------
    pandas.DataFrame
        As from `affectflow.evaluation.tables.results_table`.

    Raises
    ------
    UserError
        If there is no validation split, or predictions and clip table do not belong together.
    """
    if not (clips["split"] == SPLIT).any():
        raise UserError(
            "a sweep chooses on the validation split, and no clip is in it",
            "Give some subjects' clips to the validation split.",
        )
    open_clips = clips[clips["split"] != "test"]
    metrics = {
        run: evaluate(own[own["split"] == SPLIT], open_clips, tasks, resamples, seed)
        for run, own in predictions.items()
    }
    results = results_table(metrics)
    return results[results["split"] == SPLIT].reset_index(drop=True)


def choose(results: pandas.DataFrame, runs: Mapping[str, Sequence[str]], by: str) -> dict[str, Any]:
    """Return the member of a sweep that has most of a validation metric.

    Parameters
    ----------
    results : pandas.DataFrame
        What `validation_results` returned.
    runs : mapping
        Member -> its runs in `results`, one for each seed.
    by : str
        The metric: its mean over tasks and runs, without those where not every member has it (such
        as kappa of a task whose labels are all one level, for a member that gives no other). Of
        equals the first member is taken.

    Returns
    -------
    dict
        ``by``, ``chosen``, and ``values``: member -> this mean, None where no task is left.
    """
    mine = results[results["metric"] == by].set_index(["experiment", "state"])["value"].unstack()
    # (run and state, member): each member's first run beside the others' first, and so on.
    cells = pandas.DataFrame(
        {member: mine.reindex(list(own)).to_numpy().ravel() for member, own in runs.items()}
    )
    means = cells.dropna().mean()
    known = {member: float(means[member]) for member in runs if pandas.notna(means[member])}
    if not known:
        log.warning("no task has a validation %s of every member: the first is taken", by)
    chosen = max(known, key=known.__getitem__) if known else next(iter(runs))
    values = {member: round(known[member], 8) if member in known else None for member in runs}
    log.info("%s of %d members: %s %s", chosen, len(runs), by, values[chosen])
    return {"by": by, "chosen": chosen, "values": values}


def write_choice(path: Path, choice: Mapping[str, Any]) -> None:
    """Write what `choose` returned as JSON."""
    write_text(path, json.dumps(choice, indent=2, allow_nan=False) + "\n")


def read_choice(path: Path) -> dict[str, Any]:
    """Read what `write_choice` wrote."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
