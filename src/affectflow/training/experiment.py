"""How a model is trained: the keys of an experiment, checked without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from affectflow.config.check import STRICT
from affectflow.errors import UserError, did_you_mean
from affectflow.temporal.settings import head_settings, is_pooled, loss_settings

SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1, "default": 0.0}
AMOUNT: dict[str, Any] = {"type": "number", "minimum": 0, "default": 0.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "head": {"type": "string", "default": "lstm"},
    # what is looked at
    "frames": {"type": ["integer", "null"], "minimum": 1, "default": None},
    "key_frames": {"type": ["number", "null"], "minimum": -1, "maximum": 1, "default": None},
    "normalise": {"enum": ["dataset", "clip", "none"], "default": "dataset"},
    "feature_alpha": {
        "type": ["number", "null"],
        "exclusiveMinimum": 0,
        "maximum": 1,
        "default": None,
    },
    "train_clips": {"type": ["integer", "null"], "minimum": 1, "default": None},
    "labels": {"enum": ["given", "permuted"], "default": "given"},
    # what is learnt
    "loss": {"type": "string", "default": "cross_entropy"},
    "level_weights": {"enum": ["none", "balanced", "sqrt"], "default": "none"},
    "sampling": {"enum": ["shuffled", "balanced"], "default": "shuffled"},
    "time_mask": SHARE,
    "jitter": AMOUNT,
    "mixup": AMOUNT,
    "fine_tune": {"enum": [None, "last", "all"], "default": None},
    # how
    "epochs": {"type": "integer", "minimum": 1, "default": 100},
    "batch_size": {"type": "integer", "minimum": 1, "default": 32},
    "learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.001},
    "backbone_learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.00001},
    "select_by": {
        "enum": ["loss", "macro_f1", "balanced_accuracy", "kappa", "ccc"],
        "default": "loss",
    },
    "patience": {"type": ["integer", "null"], "minimum": 1, "default": None},
    "decide": {"enum": [None, "mode", "median", "calibrated"], "default": None},
}


# What only a head that is trained epoch by epoch has.
BY_EPOCHS = (
    "normalise",
    "loss",
    "sampling",
    "time_mask",
    "jitter",
    "mixup",
    "fine_tune",
    "epochs",
    "batch_size",
    "learning_rate",
    "backbone_learning_rate",
    "select_by",
    "patience",
)
# What says nothing of an experiment whose backbone stays as it is: such ones don't name it, and so
# are the same experiments that they were before there was a choice.
TUNING = ("fine_tune", "backbone_learning_rate")
POOLED_SETTINGS: dict[str, dict[str, Any]] = {
    "statistics": {
        "type": "array",
        "items": {"enum": ["mean", "std", "min", "max"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["mean", "std", "min", "max"],
    },
}


@dataclass(frozen=True)
class Experiment:
    """A training run.

    Attributes
    ----------
    head : str
        A file of ``temporal/heads`` or ``temporal/pooled``. A pooled head has no `BY_EPOCHS`: their
        values here are the defaults, and nothing reads them.
    settings : dict
        The head's own keys, complete.
    frames : int or None
        Evenly spaced frames of each clip that are used, of those embedded; None for all.
    key_frames : float or None
        Of these only the ones that are less similar than this to the last one kept
        (`affectflow.temporal.frames.key_frames`); None for all.
    normalise : {"dataset", "clip", "none"}
        See `affectflow.temporal.standardise.Standardise`.
    feature_alpha : float or None
        Use only the features that go with the labels
        (`affectflow.training.select.correlated_features`); None for all.
    train_clips : int or None
        Train on so many clips (`affectflow.training.select.draw_clips`); None for all.
    labels : {"given", "permuted"}
        ``permuted`` is the control: labels change clips within the training and the validation
        split, so nothing can be learnt.
    loss : str
        A file of ``temporal/losses``.
    loss_settings : dict
        The loss's own keys, complete.
    level_weights : {"none", "balanced", "sqrt"}
        See `affectflow.training.balance.level_weights`.
    sampling : {"shuffled", "balanced"}
        ``shuffled``: each clip once per epoch. ``balanced``: as many draws, with replacement, by
        `affectflow.training.balance.draw_probabilities`.
    time_mask, jitter, mixup : float
        `affectflow.training.augment`: the longest hidden stretch as a share of the clip; the
        noise's deviation in deviations of each feature; the alpha of the blend's Beta. 0: none.
    fine_tune : {None, "last", "all"}
        What of the backbone is trained with the head, from the face crops: its last block, or all
        of it (`affectflow.training.tuned_model`). None: nothing, and embeddings are read.
    epochs, batch_size : int
    learning_rate, backbone_learning_rate : float
        Adam's step size, for the head and for the backbone.
    select_by : {"loss", "macro_f1", "balanced_accuracy", "kappa", "ccc"}
        Which validation figure (mean over tasks) decides the epoch that is kept.
    patience : int or None
        Epochs without a better one after which training stops.
    decide : {None, "mode", "median", "calibrated"}
        From probabilities to a level, see `affectflow.temporal.decide`; None for the loss's rule.
    """

    head: str
    settings: dict[str, Any]
    frames: int | None
    key_frames: float | None
    normalise: str
    feature_alpha: float | None
    train_clips: int | None
    labels: str
    loss: str
    loss_settings: dict[str, Any]
    level_weights: str
    sampling: str
    time_mask: float
    jitter: float
    mixup: float
    fine_tune: str | None
    epochs: int
    batch_size: int
    learning_rate: float
    backbone_learning_rate: float
    select_by: str
    patience: int | None
    decide: str | None

    def keys(self) -> dict[str, Any]:
        """Return the experiment as the flat mapping that `read_experiment` reads."""
        keys = asdict(self)
        own = keys.pop("settings") | keys.pop("loss_settings")
        counts = set(schema(self.head, self.loss)) - set(() if self.fine_tune else TUNING)
        return {key: value for key, value in (keys | own).items() if key in counts}


def schema(head: str, loss: str) -> dict[str, dict[str, Any]]:
    """Return every training key of an experiment with this head and loss: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such head or loss.
    """
    if is_pooled(head):
        common = {key: spec for key, spec in SETTINGS.items() if key not in BY_EPOCHS}
        return common | own_settings(head)
    return SETTINGS | own_settings(head) | loss_settings(loss)


def hint(key: str, known: Iterable[str], head: str) -> str:
    """Return what to do about a key that an experiment with this head does not have."""
    if key in BY_EPOCHS:
        return f"Leave it out, or take a head that is trained by epochs: {head} is not."
    return did_you_mean(key, known)


def own_settings(head: str) -> dict[str, dict[str, Any]]:
    """Return the keys that only this head, or kind of head, has: key to JSON schema."""
    return (POOLED_SETTINGS if is_pooled(head) else {}) | head_settings(head)


def read_experiment(keys: Mapping[str, Any], where: str = "experiment") -> Experiment:
    """Return an experiment from its training keys; keys left out take their defaults.

    Parameters
    ----------
    keys : mapping
        Keys of `SETTINGS`, of the head's and of the loss's settings, side by side as in Table 4.2.
    where : str
        Name for messages, such as ``"experiments: engagement_lstm"``.

    Raises
    ------
    UserError
        If a key is unknown or its value is not one of those allowed.
    """
    head, loss = (keys.get(name, SETTINGS[name]["default"]) for name in ("head", "loss"))
    known = schema(head, loss)
    for key, value in keys.items():
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'", hint(key, known, head))
        for error in STRICT(known[key]).iter_errors(value):
            raise UserError(
                f"{where}: {key}: {error.message}", f"The default is {known[key]['default']}."
            )
    if "backbone_learning_rate" in keys and not keys.get("fine_tune"):
        raise UserError(
            f"{where}: backbone_learning_rate: nothing of the backbone is trained",
            "Set fine_tune to last or all, or leave the key out.",
        )
    full = {key: spec["default"] for key, spec in (SETTINGS | known).items()} | dict(keys)
    settings = {key: full.pop(key) for key in own_settings(head)}
    own = {} if is_pooled(head) else {key: full.pop(key) for key in loss_settings(loss)}
    return Experiment(settings=settings, loss_settings=own, **full)
