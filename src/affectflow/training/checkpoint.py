"""Where a killed run goes on: the whole state of training after an epoch, in one file."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from affectflow.provenance.atomic import atomic

log = logging.getLogger(__name__)

DIGEST = 32


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and text: a SHA-256, then torch's own format."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    with atomic(path) as temporary:
        temporary.write_bytes(hashlib.sha256(payload).digest() + payload)


def load_checkpoint(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any] | None:
    """Return a checkpoint's state, or None if there is none that belongs to this run.

    One that is damaged, or whose ``fingerprint`` is another's, is left alone: the log says so,
    and the first epoch of the new run replaces it. No object is unpickled.
    """
    if not path.exists():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        log.warning("%s is damaged: training starts over", path)
        return None
    try:
        state = torch.load(io.BytesIO(content[DIGEST:]), map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        log.warning("%s is no checkpoint of this torch (%s): training starts over", path, error)
        return None
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        log.warning("%s is of other settings, data or code: training starts over", path)
        return None
    return state


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's generators that training on `device` draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what `random_states` returned."""
    torch.set_rng_state(states["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
    if device.type == "mps":
        torch.mps.set_rng_state(states["mps"].cpu())
