"""Which clips and which features a model is trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, rankdata
from sklearn.feature_selection import f_classif, f_regression

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.objective import MISSING
from affectflow.training.data import SequenceData, permuted
from affectflow.training.experiment import Experiment

log = logging.getLogger(__name__)


def training_clips(
    data: SequenceData, experiment: Experiment, seed: int
) -> tuple[SequenceData, NDArray[np.int64]]:
    """Return the data with the labels that are trained on, and the training clips (n,).

    Raises
    ------
    UserError
        If no training clip is labelled.
    """
    if experiment.labels == "permuted":
        data = permuted(data, seed)
    train = data.labelled("train")
    if len(train) == 0:
        raise UserError(
            f"no clip to train on: {int((data.split == 'train').sum())} training clips have a "
            "frame with a face, and none of them has a label",
            "Look at results/dataset/audit.csv for what became of the clips and labels.",
        )
    train = train[draw_clips(data.subject[train], experiment.train_clips, seed)]
    log.info("training on %d clips of %d subjects", len(train), len(set(data.subject[train])))
    return data, train


def draw_clips(subject: NDArray[np.str_], wanted: int | None, seed: int) -> NDArray[np.int64]:
    """Draw some of the training clips: of every subject the same share.

    Each subject gives ``wanted / clips`` of its clips, rounded down; the subjects with the largest
    remainders (of equals, those that the seed puts first) give one more. Which clips of a subject
    is up to the seed. So a smaller training set has fewer clips of the same people, and what
    changes is the number of clips, not who is known.

    Parameters
    ----------
    subject : numpy.ndarray
        (clips,) text, whose clip it is.
    wanted : int or None
        None, or more than there are: all.
    seed : int

    Returns
    -------
    numpy.ndarray
        (min(wanted, clips),) int64 places, ascending.
    """
    clips = len(subject)
    if wanted is None or wanted >= clips:
        if wanted is not None and wanted > clips:
            log.warning("train_clips: %d are asked for, and there are %d: all", wanted, clips)
        return np.arange(clips)
    rng = np.random.default_rng(seed)
    order = rng.permutation(clips)
    names, whose, count = np.unique(subject, return_inverse=True, return_counts=True)
    share = count * wanted / clips
    give = np.floor(share).astype(np.int64)
    tie = rng.permutation(len(names))
    more = np.lexsort((tie, -(share - give)))[: wanted - give.sum()]
    give[more] += 1
    chosen = [order[whose[order] == who][: give[who]] for who in range(len(names))]
    return np.sort(np.concatenate(chosen))


def correlated_features(
    data: SequenceData, clips: NDArray[np.int64], tasks: Sequence[Task], alpha: float
) -> NDArray[np.bool_]:
    """Return the features that go with the labels of some task, (D,) bool.

    As Thomas and Jayagopi (2017): a clip's mean of each feature against the clip's level, over the
    training clips. For ordinal and real-valued tasks the p-value is that of Spearman's rank
    correlation, for nominal ones of the analysis of variance; all D x tasks of them are corrected
    together for false discoveries (Benjamini and Hochberg 1995). Clips of one subject resemble each
    other, so these p-values are too small: `alpha` sorts features, it proves nothing.

    Parameters
    ----------
    data : SequenceData
    clips : numpy.ndarray
        (n,) int64, the training clips.
    tasks : sequence of Task
    alpha : float
        Keep features whose corrected p-value for any task is at most this.

    Returns
    -------
    numpy.ndarray
        All True if none is that small: the log says so.
    """
    mean = clip_means(data, clips)
    found = []
    for place, task in enumerate(tasks):
        level = data.labels[clips, place]
        known = data.levels[clips, place] != MISSING
        p = np.ones(data.dim)
        if len(np.unique(level[known])) > 1:
            x, y = mean[known], level[known]
            varies = x.std(axis=0) > 0
            if task.kind != "nominal":
                _, p[varies] = f_regression(rankdata(x[:, varies], axis=0), rankdata(y))
            else:
                _, p[varies] = f_classif(x[:, varies], y)
        found.append(np.nan_to_num(p, nan=1.0))
    corrected = false_discovery_control(np.concatenate(found)).reshape(len(tasks), -1)
    keep = (corrected <= alpha).any(axis=0)
    if not keep.any():
        log.warning("feature_alpha %g: no feature goes with any label: all are kept", alpha)
        return np.ones_like(keep)
    # No p <= alpha here: it would be a claim, and clips of one subject are not independent.
    log.info("%d of %d features are kept by feature_alpha %g", keep.sum(), len(keep), alpha)
    return keep


def clip_means(data: SequenceData, clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of each clip's unmasked frames, (n, D) float64."""
    parts = []
    for embedding, mask in data.blocks(clips):
        x = np.where(mask[:, :, None], embedding, 0).astype(np.float64)
        parts.append(x.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None])
    return np.concatenate(parts)
