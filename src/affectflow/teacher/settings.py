"""How the teacher is trained: its keys, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from affectflow.config.check import STRICT
from affectflow.errors import UserError, did_you_mean

# The defaults are Abraham (2022), section 4.2; what it is silent on stays off.
SETTINGS: dict[str, dict[str, Any]] = {
    "epochs": {"type": "integer", "minimum": 1, "default": 13},
    "batch_size": {"type": "integer", "minimum": 1, "default": 64},
    "learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.005},
    "schedule": {"enum": ["constant", "cosine"], "default": "constant"},
    "patience": {"type": ["integer", "null"], "minimum": 1, "default": 10},
    "alpha": {"type": "number", "minimum": 0, "default": 0.1},
    "class_weights": {"enum": ["none", "balanced"], "default": "none"},
    "base": {"enum": ["trained", "frozen"], "default": "trained"},
    "base_norm": {"enum": ["auto", "kept", "batch"], "default": "auto"},
    "flip": {"type": "boolean", "default": False},
    "precision": {"enum": ["auto", "fp32", "bf16"], "default": "auto"},
    "checkpoint_steps": {"type": ["integer", "null"], "minimum": 1, "default": 500},
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "default": 0},
}


@dataclass(frozen=True)
class TeacherSettings:
    """A training run of the teacher.

    Attributes
    ----------
    epochs : int
        Passes over FEC's triplets. 13: Schoneveld et al. (2021), as Abraham (2022), section 4.2,
        quotes them.
    batch_size : int
        Triplets of a step, and as many images of AffectNet, over all processes together.
    learning_rate : float
        Adam's step size.
    schedule : {"constant", "cosine"}
        ``cosine``: the step size falls to nothing over all epochs, along half a cosine (Loshchilov
        and Hutter 2017, eq. 5, without restarts).
    patience : int or None
        Epochs without a better one after which training stops.
    alpha : float
        What the cross-entropy counts beside the triplet loss (Algorithm 3.1).
    class_weights : {"none", "balanced"}
        `affectflow.training.balance.level_weights` of AffectNet's expressions.
    base : {"trained", "frozen"}
        Whether the FaceNet below the dense block is trained, as Algorithm 3.1 does, or stays.
    base_norm : {"auto", "kept", "batch"}
        The base's BatchNorm: ``kept`` uses its running statistics and leaves them as they are;
        ``batch`` uses those of the step. ``auto``: kept where the base has trained weights. A
        random base has no statistics worth keeping.
    flip : bool
        Whether each training image is mirrored with probability 1/2.
    precision : {"auto", "fp32", "bf16"}
        ``auto``: bf16 autocast on a GPU that has it, else float32.
    checkpoint_steps : int or None
        Steps after which a checkpoint is written within an epoch; None: after each epoch only.
    seed : int
        Of initial weights, orders and flips.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    patience: int | None
    alpha: float
    class_weights: str
    base: str
    base_norm: str
    flip: bool
    precision: str
    checkpoint_steps: int | None
    seed: int

    def keys(self) -> dict[str, Any]:
        """Return the mapping that `read_settings` reads."""
        return asdict(self)


def read_settings(keys: Mapping[str, Any], where: str = "teacher") -> TeacherSettings:
    """Return the settings of a run; keys left out take their defaults.

    Parameters
    ----------
    keys : mapping
        Keys of `SETTINGS`.
    where : str
        Name for messages.

    Raises
    ------
    UserError
        If a key is unknown or its value is not one of those allowed.
    """
    for key, value in keys.items():
        if key not in SETTINGS:
            raise UserError(f"{where}: unknown key '{key}'", did_you_mean(key, SETTINGS))
        for error in STRICT(SETTINGS[key]).iter_errors(value):
            default = SETTINGS[key]["default"]
            raise UserError(f"{where}: {key}: {error.message}", f"The default is {default}.")
    full = {key: spec["default"] for key, spec in SETTINGS.items()} | dict(keys)
    if full["base"] == "frozen" and full["base_norm"] == "batch":
        raise UserError(
            f"{where}: base_norm: a frozen base keeps its statistics",
            "Leave base_norm out, or set base: trained.",
        )
    return TeacherSettings(**full)
