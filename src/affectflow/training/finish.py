"""The files of a finished training by epochs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from affectflow.dataset.tasks import Task
from affectflow.temporal.decide import Decision
from affectflow.training.data import SequenceData, permuted
from affectflow.training.experiment import Experiment
from affectflow.training.feed import Feed
from affectflow.training.fit import Fitted, write_history
from affectflow.training.model_files import save_model
from affectflow.training.predict import decide, predict, tabulate, write_predictions

# Not in `provenance.content.LIBRARIES`: that is code of every stage, whose change would make faces
# and embeddings anew, and none of these decides what is in them.
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "skops")


def finish(
    fitted: Fitted,
    data: SequenceData,
    tasks: Sequence[Task],
    experiment: Experiment,
    *,
    feed: Feed,
    seed: int,
    threads: int,
    model: Path,
    description: Path,
    history: Path,
    predictions: Path,
) -> None:
    """Predict every clip, and write what was trained.

    Parameters
    ----------
    fitted : Fitted
    data, tasks, experiment, seed, threads
        What it was fitted with.
    feed : Feed
        Batches of `data`, as the model takes them.
    model, description, history, predictions : Path
        The files to write.
    """
    probabilities = predict(fitted.model, data, threads=threads, feed=feed)
    own = fitted.model.objective.decisions()
    decisions = decisions_of(probabilities, data, tasks, experiment, own, seed)
    trained = how_trained(experiment, seed, fitted.best_epoch)
    save_model(fitted.model, model, description, decisions, trained)
    write_history(fitted.history, history)
    write_predictions(tabulate(probabilities, data, tasks, decisions), predictions)


def decisions_of(
    probabilities: Sequence[np.ndarray],
    data: SequenceData,
    tasks: Sequence[Task],
    experiment: Experiment,
    own: Sequence[str],
    seed: int,
) -> list[Decision]:
    """Return how each task's level is taken: as the experiment says, or by the loss's own rules."""
    # The control's thresholds may not see the true labels either.
    seen = permuted(data, seed) if experiment.labels == "permuted" else data
    return decide(probabilities, seen, tasks, [experiment.decide or rule for rule in own])


def how_trained(experiment: Experiment, seed: int, best_epoch: int) -> dict[str, Any]:
    """Return what ``model.json`` says, for people, of how a model was trained."""
    return {
        "seed": seed,
        "experiment": experiment.keys(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "best_epoch": best_epoch,
    }
