"""The settings of heads and losses, read without running them: the parse step has no torch."""

from __future__ import annotations

from typing import Any

from affectflow import registry

HEADS = "temporal.heads"
LOSSES = "temporal.losses"


def head_settings(head: str) -> dict[str, dict[str, Any]]:
    """Return the literal `SETTINGS` of ``temporal/heads/HEAD.py``: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such head.
    """
    return dict(registry.literal(HEADS, registry.require(HEADS, head, "head"), "SETTINGS"))


def loss_settings(loss: str) -> dict[str, dict[str, Any]]:
    """Return the literal `SETTINGS` of ``temporal/losses/LOSS.py``: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such loss.
    """
    return dict(registry.literal(LOSSES, registry.require(LOSSES, loss, "loss"), "SETTINGS"))
