"""Fit a pooled head: one estimator per task, scikit-learn's, without epochs."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from affectflow import registry
from affectflow.dataset.tasks import Task
from affectflow.temporal.objective import MISSING
from affectflow.temporal.pooled_model import TINY, PooledModel, TaskModel
from affectflow.temporal.settings import POOLED
from affectflow.temporal.statistics import pool
from affectflow.training.balance import level_weights
from affectflow.training.data import SequenceData
from affectflow.training.experiment import Experiment
from affectflow.training.select import correlated_features, training_clips
from affectflow.training.validation import in_columns, score

log = logging.getLogger(__name__)


def statistics_of(
    data: SequenceData, clips: NDArray[np.int64], names: list[str], keep: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the statistics (n, F) float32 of some clips' kept features, (D,) bool."""
    none = np.zeros((0, len(names) * int(keep.sum())), np.float32)
    blocks = (pool(embedding[:, :, keep], mask, names) for embedding, mask in data.blocks(clips))
    return np.concatenate([none, *blocks])


def fit_pooled(
    data: SequenceData,
    tasks: Sequence[Task],
    experiment: Experiment,
    *,
    seed: int,
    threads: int = 1,
) -> tuple[PooledModel, pandas.DataFrame]:
    """Fit a pooled head.

    Parameters
    ----------
    data : SequenceData
    tasks : sequence of Task
    experiment : Experiment
        With a pooled head.
    seed : int
    threads : int
        CPU threads.

    Returns
    -------
    model : PooledModel
    history : pandas.DataFrame
        One row, as an epoch's of `affectflow.training.fit.fit`: the losses are the negative
        log-likelihood summed over tasks, with the squared error in deviations of real-valued ones.

    Raises
    ------
    UserError
        If no training clip is labelled.
    """
    data, train = training_clips(data, experiment, seed)
    validation = data.labelled("validation")
    keep = np.ones(data.dim, bool)
    if experiment.feature_alpha is not None:
        keep = correlated_features(data, train, tasks, experiment.feature_alpha)
    names = experiment.settings["statistics"]
    x, held = (statistics_of(data, clips, names, keep) for clips in (train, validation))
    build = registry.load(POOLED, experiment.head).build
    weights = level_weights(data.levels[train], tasks, experiment.level_weights)
    models = []
    with threadpool_limits(threads):
        for place, task in enumerate(tasks):
            began = time.monotonic()
            level, known = data.labels[train, place], data.levels[train, place] != MISSING
            estimator = build(task, experiment.settings, seed)
            if len(np.unique(level[known])) < 2:
                log.warning("%s: the training clips have one level or none", task.name)
                constant = DummyClassifier(strategy="prior")
                if task.kind == "real":
                    constant = DummyRegressor()
                estimator = Pipeline([("model", constant)])
                known = known if known.any() else np.ones_like(known)
                level = np.nan_to_num(level).clip(min=None if task.kind == "real" else 0)
            if task.kind != "real":
                level = np.nan_to_num(level).astype(np.int64)
            # A level without a labelled clip weighs nothing, and then nothing is weighed.
            weight = (
                None
                if weights is None
                else weights[place][data.levels[train, place][known].clip(min=0)]
            )
            weight = None if weight is None or not weight.any() else weight
            estimator.fit(x[known], level[known], model__sample_weight=weight)
            seen = data.levels[validation, place] != MISSING
            unit = float(level[known].std()) if task.kind == "real" else 1.0
            model = TaskModel(estimator, len(task.levels), unit or 1.0)
            models.append(model.calibrated(held[seen], data.levels[validation[seen], place]))
            log.info("%s: %d clips, %.1f s", task.name, known.sum(), time.monotonic() - began)
        model_ = PooledModel(experiment.head, experiment.settings, keep, tuple(tasks), models)
        row = {"epoch": 1, "train_loss": _loss(model_, x, data.labels[train])}
        if len(validation):
            row |= _validate(model_, held, data.labels[validation])
    return model_, pandas.DataFrame([row])


def predict_pooled(
    model: PooledModel, data: SequenceData, decimals: int, threads: int = 1
) -> list[NDArray[np.float64]]:
    """Return the probabilities of every clip's levels, (clips, K_task) for each task, rounded."""
    x = statistics_of(data, np.arange(len(data)), model.settings["statistics"], model.keep)
    with threadpool_limits(threads):
        return [p.round(decimals) for p in model.probabilities(x)]


def _loss(model: PooledModel, x: NDArray[np.float32], levels: NDArray[np.int64]) -> float:
    total = 0.0
    for place, p in enumerate(model.probabilities(x)):
        truth = levels[:, place]
        known = np.flatnonzero(~np.isnan(truth) & (truth != MISSING))
        if model.tasks[place].kind == "real":
            known = np.flatnonzero(~np.isnan(truth))
            error = (p[known, 0] - truth[known]) / model.models[place].scale
            total += float((error**2).mean()) if len(known) else 0.0
        elif len(known):
            total -= float(np.log(p[known, truth[known].astype(np.int64)] + TINY).mean())
    return total


def _validate(
    model: PooledModel, x: NDArray[np.float32], levels: NDArray[np.int64]
) -> dict[str, float]:
    row = {"validation_loss": _loss(model, x, levels)}
    found = [
        score(levels[:, place], p[:, 0] if task.kind == "real" else p.argmax(axis=1), task)
        for place, (task, p) in enumerate(zip(model.tasks, model.probabilities(x), strict=True))
    ]
    return row | in_columns(found, model.tasks)
