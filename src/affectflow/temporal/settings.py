"""The settings of heads and losses, read without running them: the parse step has no torch."""

from __future__ import annotations

from functools import cache
from typing import Any

from affectflow import registry
from affectflow.errors import UserError, did_you_mean

HEADS = "temporal.heads"
POOLED = "temporal.pooled"
LOSSES = "temporal.losses"


@cache
def is_pooled(head: str) -> bool:
    """Return whether a head looks at pooled statistics rather than at the sequence.

    Raises
    ------
    UserError
        If there is no such head.
    """
    known = {package: registry.names(package) for package in (HEADS, POOLED)}
    for package, names in known.items():
        if head in names:
            return package == POOLED
    every = sorted(name for names in known.values() for name in names)
    raise UserError(f"head: unknown head '{head}'", did_you_mean(str(head), every))


def head_settings(head: str) -> dict[str, dict[str, Any]]:
    """Return the literal `SETTINGS` of a head's file: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such head.
    """
    return dict(_literal(POOLED if is_pooled(head) else HEADS, head))


def loss_settings(loss: str) -> dict[str, dict[str, Any]]:
    """Return the literal `SETTINGS` of ``temporal/losses/LOSS.py``: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such loss.
    """
    return dict(_literal(LOSSES, registry.require(LOSSES, loss, "loss")))


@cache
def _literal(package: str, name: str) -> dict[str, dict[str, Any]]:
    # A sweep asks for every member, and each job parses the config again.
    found: dict[str, dict[str, Any]] = registry.literal(package, name, "SETTINGS")
    return found
