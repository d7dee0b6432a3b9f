"""The files of a finished training by epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectflow.dataset.tasks import Task
from affectflow.training.data import SequenceData, permuted
from affectflow.training.experiment import Experiment
from affectflow.training.feed import Feed
from affectflow.training.fit import Fitted, write_history
from affectflow.training.model_files import save_model
from affectflow.training.predict import decide, predict, tabulate, write_predictions


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
    # The control's thresholds may not see the true labels either.
    seen = permuted(data, seed) if experiment.labels == "permuted" else data
    own = fitted.model.objective.decisions()
    decisions = decide(probabilities, seen, tasks, rules(experiment, own))
    trained = {"seed": seed, "experiment": experiment.keys(), "best_epoch": fitted.best_epoch}
    save_model(fitted.model, model, description, decisions, trained)
    write_history(fitted.history, history)
    write_predictions(tabulate(probabilities, data, tasks, decisions), predictions)


def rules(experiment: Experiment, own: Sequence[str]) -> list[str]:
    """Return how each task's level is to be taken: as the experiment says, or as its loss does."""
    return [experiment.decide or rule for rule in own]
