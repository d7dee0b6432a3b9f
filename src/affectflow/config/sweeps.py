"""Which keys of an experiment are swept, and what the experiments of a sweep are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

from affectflow import registry
from affectflow.config.values import as_meant
from affectflow.errors import UserError
from affectflow.temporal.settings import HEADS, LOSSES, POOLED, loss_settings
from affectflow.training.experiment import SETTINGS, own_settings

# A list of seeds repeats an experiment; the others say how it is scored, not how it is trained.
NO_SWEEP = ("seed", "folds", "choose_by")
WORD = re.compile(r"[A-Za-z0-9_.+-]+")


def is_swept(key: str, value: Any) -> bool:
    """Return whether a key's value is a list of values to try.

    A key whose value is a list by itself (`lstm_units`) is swept by a list of lists.
    """
    if not isinstance(value, list) or key in NO_SWEEP:
        return False
    return key not in lists() or any(isinstance(each, list) for each in value)


def members(
    where: str, own: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield every combination of the swept keys' values.

    Parameters
    ----------
    where : str
        The experiment, for messages.
    own : mapping
        Its keys, at least one of them swept.

    Yields
    ------
    ending : str
        What is added to the experiment's name: ``-KEY_VALUE`` for each swept key.
    values : dict
        Swept key -> value.
    keys : dict
        The keys of this member.

    Raises
    ------
    UserError
        If a key lists fewer than two values, or one of them twice.
    """
    swept = {key: value for key, value in own.items() if is_swept(key, value)}
    for key, values in swept.items():
        names = [_text(f"{where}.{key}", value) for value in values]
        twice = any(value in values[:i] for i, value in enumerate(values))
        if len(values) < 2 or twice or len(set(names)) < len(names):
            raise UserError(
                f"{where}.{key} is {values!r}", "List two or more values, each once, or give one."
            )
    for combination in product(*swept.values()):
        values = dict(zip(swept, combination, strict=True))
        ending = "".join(f"-{key}_{_text(where, value)}" for key, value in values.items())
        yield ending, values, {**own, **values}


def typed(own: Any) -> Any:
    """Return an experiment's keys in the types that they are to have, swept or not.

    Parameters
    ----------
    own : object
        An experiment as it is given; what is no mapping is returned as it is.
    """
    if not isinstance(own, Mapping):
        return own
    specs = _specs() if any(map(_has_text, own.values())) else {}
    meant = {}
    for key, value in own.items():
        spec = specs.get(str(key), {})
        several = isinstance(value, list) and (key in NO_SWEEP or is_swept(str(key), value))
        meant[str(key)] = (
            [as_meant(each, spec) for each in value] if several else as_meant(value, spec)
        )
    return meant


def _has_text(value: Any) -> bool:
    return any(map(_has_text, value)) if isinstance(value, list) else isinstance(value, str)


@cache
def _specs() -> dict[str, dict[str, Any]]:
    """Return the schema of every key that an experiment may have, whatever its head and loss."""
    found: dict[str, dict[str, Any]] = {
        "seed": {"type": "integer"},
        "folds": {"type": ["integer", "null"]},
        **SETTINGS,
    }
    for head in [*registry.names(HEADS), *registry.names(POOLED)]:
        found |= own_settings(head)
    for loss in registry.names(LOSSES):
        found |= loss_settings(loss)
    return found


@cache
def lists() -> frozenset[str]:
    """Return the keys, of whatever head, whose value is a list by itself."""
    heads = [*registry.names(HEADS), *registry.names(POOLED)]
    return frozenset(
        key
        for head in heads
        for key, spec in own_settings(head).items()
        if spec.get("type") == "array"
    )


def _text(where: str, value: Any) -> str:
    if isinstance(value, list):
        return "_".join(_text(where, each) for each in value)
    text = "none" if value is None else str(value)
    if isinstance(value, (Mapping, bool)) or not WORD.fullmatch(text):
        raise UserError(f"{where}: {value!r} can't be swept", "List numbers or words.")
    return text
