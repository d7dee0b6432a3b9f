"""Levels by how badly an autoencoder of the most frequent level reconstructs a clip."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor

FOLDS = 5
TINY = 1e-6
DECAY = 0.1
"""Of the weights, which are more than the clips (scikit-learn's `alpha`)."""


class Autoencoder(BaseEstimator):
    """A network that is to return its input through a bottleneck.

    Its outermost layers are linear and fitted first, by principal components; the ones between are
    rectified linear units, fitted by L-BFGS: quick where there are more features than clips, with
    no learning rate to choose. Of one clip, or clips that are all the same, it knows the mean only.

    Parameters
    ----------
    units : sequence of int
        Of the layers between; the smallest is the bottleneck.
    components : int
        Principal components, at most; never more than clips less one.
    iterations : int
        Of L-BFGS, at most.
    random_state : int
    """

    def __init__(
        self,
        units: Sequence[int] = (64, 16, 64),
        components: int = 64,
        iterations: int = 200,
        random_state: int = 0,
    ) -> None:
        self.units = units
        self.components = components
        self.iterations = iterations
        self.random_state = random_state

    def fit(self, x: NDArray[np.floating]) -> Autoencoder:
        """Fit to clips (n, F), at least one."""
        self.mean_ = x.mean(axis=0)
        self.reduce_, self.network_ = None, None
        most = min(self.components, len(x) - 1, x.shape[1])
        if most < 1 or not np.ptp(x, axis=0).any():
            return self
        self.reduce_ = PCA(most, random_state=self.random_state)
        reduced = self.reduce_.fit_transform(x)
        self.network_ = MLPRegressor(
            hidden_layer_sizes=tuple(self.units),
            solver="lbfgs",
            alpha=DECAY,
            max_iter=self.iterations,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # The number of iterations is a setting, not a hope.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # One component must be a vector to scikit-learn, which warns of a column.
            self.network_.fit(reduced, reduced if most > 1 else reduced[:, 0])
        return self

    def reconstruct(self, x: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return what the network makes of clips, (n, F) of (n, F)."""
        if self.reduce_ is None or self.network_ is None:
            return np.broadcast_to(self.mean_, x.shape)
        inner = self.network_.predict(self.reduce_.transform(x)).reshape(len(x), -1)
        return self.reduce_.inverse_transform(inner)

    def error(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the mean squared difference from the reconstruction, (n,) of (n, F)."""
        return np.square(x - self.reconstruct(x), dtype=np.float64).mean(axis=1)


class ReconstructionClassifier(ClassifierMixin, BaseEstimator):
    """Anomaly detection for levels that are rare: what is unlike the frequent level is another.

    Autoencoders are fitted to the clips of the most frequent level alone (Japkowicz et al. 1995, *A
    Novelty Detection Approach to Classification*), so a level with a handful of clips need not be
    learnt. From the logarithm of a clip's reconstruction error a logistic regression gives the
    levels' probabilities. One number can't tell apart two levels that are equally unlike the
    frequent one.

    A clip that an autoencoder was fitted to has too small an error, and the regression would take
    any new clip for an anomaly. So the frequent level's clips are split into five parts and there
    are five autoencoders, each fitted without one part, whose errors it gives. All other clips, and
    new ones, have the mean of the five: an autoencoder fitted to all clips would have errors unlike
    those that the regression knows, and holding out one part for good would waste it. The parts
    know nothing of subjects: clips of strangers still have somewhat larger errors than the
    regression expects, which the decision rule ``calibrated`` makes up for.

    Parameters
    ----------
    units, components, iterations
        See `Autoencoder`.
    random_state : int
        Decides the parts and where the networks begin.

    Attributes
    ----------
    classes_ : numpy.ndarray
        (K,) the levels seen, ascending.
    majority_ : int
        The most frequent one by clips, whatever their weights; of equals the lowest.
    autoencoders_ : list of Autoencoder
    """

    def __init__(
        self,
        units: Sequence[int] = (64, 16, 64),
        components: int = 64,
        iterations: int = 200,
        random_state: int = 0,
    ) -> None:
        self.units = units
        self.components = components
        self.iterations = iterations
        self.random_state = random_state

    def fit(
        self, x: ArrayLike, level: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> ReconstructionClassifier:
        """Fit.

        Parameters
        ----------
        x : array-like
            (n, F) of any float type, of one scale for all features.
        level : array-like
            (n,) int, at least two different ones.
        sample_weight : array-like or None
            (n,) how much each clip counts in the regression. The autoencoders know one level, whose
            clips weigh the same.
        """
        x, level = np.asarray(x), np.asarray(level)
        self.classes_, count = np.unique(level, return_counts=True)
        self.majority_ = self.classes_[count.argmax()]
        frequent = np.flatnonzero(level == self.majority_)
        self.autoencoders_ = []
        held_out = np.empty(len(frequent))
        for seen, unseen in self._parts(len(frequent)):
            one = Autoencoder(self.units, self.components, self.iterations, self.random_state)
            self.autoencoders_.append(one.fit(x[frequent[seen]]))
            held_out[unseen] = np.log(one.error(x[frequent[unseen]]) + TINY)
        found = self.unlikeness(x)
        found[frequent] = held_out
        self.centre_, self.spread_ = float(found.mean()), float(found.std()) or 1.0
        self.regression_ = LogisticRegression()
        self.regression_.fit(self._column(found), level, sample_weight)
        return self

    def unlikeness(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of the error, mean over the autoencoders, (n,) of (n, F)."""
        own = np.asarray(x)
        return np.mean([np.log(one.error(own) + TINY) for one in self.autoencoders_], axis=0)

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities of `classes_`, (n, K) of (n, F)."""
        return self.regression_.predict_proba(self._column(self.unlikeness(x)))

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable of `classes_`, (n,) of (n, F)."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _parts(self, clips: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        if clips < 2:
            return [(np.arange(clips), np.arange(clips))]  # nothing can be held out
        parts = KFold(min(FOLDS, clips), shuffle=True, random_state=self.random_state)
        return list(parts.split(np.arange(clips)))

    def _column(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((found - self.centre_) / self.spread_)[:, None]
