"""How a model is trained: the keys of an experiment, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from affectflow.config.check import STRICT
from affectflow.errors import UserError, did_you_mean
from affectflow.temporal.settings import head_settings

SETTINGS: dict[str, dict[str, Any]] = {
    "head": {"type": "string", "default": "lstm"},
    "epochs": {"type": "integer", "minimum": 1, "default": 100},
    "batch_size": {"type": "integer", "minimum": 1, "default": 32},
    "learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.001},
    "normalise": {"enum": ["dataset", "clip", "none"], "default": "dataset"},
    "labels": {"enum": ["given", "permuted"], "default": "given"},
    "select_by": {
        "enum": ["loss", "macro_f1", "balanced_accuracy", "kappa"],
        "default": "loss",
    },
    "patience": {"type": ["integer", "null"], "minimum": 1, "default": None},
    "frames": {"type": ["integer", "null"], "minimum": 1, "default": None},
}


@dataclass(frozen=True)
class Experiment:
    """A training run.

    Attributes
    ----------
    head : str
        A file of ``temporal/heads``.
    settings : dict
        The head's own keys, complete.
    epochs, batch_size : int
    learning_rate : float
        Adam's step size.
    normalise : {"dataset", "clip", "none"}
        See `affectflow.temporal.standardise.Standardise`.
    labels : {"given", "permuted"}
        ``permuted`` is the control: labels change clips within the training and the validation
        split, so nothing can be learnt.
    select_by : {"loss", "macro_f1", "balanced_accuracy", "kappa"}
        Which validation figure (mean over tasks) decides the epoch that is kept.
    patience : int or None
        Epochs without a better one after which training stops.
    frames : int or None
        Evenly spaced frames of each clip that are used, of those embedded; None for all.
    """

    head: str
    settings: dict[str, Any]
    epochs: int
    batch_size: int
    learning_rate: float
    normalise: str
    labels: str
    select_by: str
    patience: int | None
    frames: int | None

    def keys(self) -> dict[str, Any]:
        """Return the experiment as the flat mapping that `read_experiment` reads."""
        keys = asdict(self)
        return keys | keys.pop("settings")


def schema(head: str) -> dict[str, dict[str, Any]]:
    """Return every training key of an experiment with this head: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such head.
    """
    return SETTINGS | head_settings(head)


def read_experiment(keys: Mapping[str, Any], where: str = "experiment") -> Experiment:
    """Return an experiment from its training keys; keys left out take their defaults.

    Parameters
    ----------
    keys : mapping
        Keys of `SETTINGS` and of the head's settings, side by side as in Table 4.2.
    where : str
        Name for messages, such as ``"experiments: engagement_lstm"``.

    Raises
    ------
    UserError
        If a key is unknown or its value is not one of those allowed.
    """
    known = schema(keys.get("head", SETTINGS["head"]["default"]))
    for key, value in keys.items():
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'", did_you_mean(key, known))
        for error in STRICT(known[key]).iter_errors(value):
            raise UserError(
                f"{where}: {key}: {error.message}", f"The default is {known[key]['default']}."
            )
    full = {key: spec["default"] for key, spec in known.items()} | dict(keys)
    own = {key: full.pop(key) for key in known if key not in SETTINGS}
    return Experiment(settings=own, **full)
