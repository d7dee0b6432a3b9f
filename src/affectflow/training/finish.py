"""A training by epochs, up to its files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from affectflow.dataset.tasks import Task
from affectflow.temporal.decide import Decision
from affectflow.training.data import SequenceData, permuted
from affectflow.training.experiment import Experiment
from affectflow.training.fit import fit, write_history
from affectflow.training.job import Job
from affectflow.training.learner import Learner
from affectflow.training.model_files import save_model
from affectflow.training.predict import decide, predict, tabulate, write_predictions

# Not in `provenance.content.LIBRARIES`: that is code of every stage, whose change would make faces
# and embeddings anew, and none of these decides what is in them.
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "skops")


def fit_and_finish(
    data: SequenceData,
    tasks: Sequence[Task],
    experiment: Experiment,
    job: Job,
    learner: Learner,
) -> None:
    """Train by epochs, predict every clip, and write what was trained.

    Parameters
    ----------
    data, tasks, experiment, learner
        As `affectflow.training.fit.fit` takes them.
    job : Job
        The rest of what it takes, and the files to write.
    """
    fitted = fit(
        data,
        tasks,
        experiment,
        job.checkpoint,
        device=job.device,
        seed=job.seed,
        threads=job.threads,
        code_digest=job.code_digest,
        learner=learner,
    )
    feed = learner.feed(data, job.device)
    probabilities = predict(fitted.model, data, threads=job.threads, feed=feed)
    own = fitted.model.objective.decisions()
    decisions = decisions_of(probabilities, data, tasks, experiment, own, job.seed)
    trained = how_trained(experiment, job.seed, fitted.best_epoch)
    save_model(fitted.model, job.model, job.description, decisions, trained)
    write_history(fitted.history, job.history)
    write_predictions(tabulate(probabilities, data, tasks, decisions), job.predictions)


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
