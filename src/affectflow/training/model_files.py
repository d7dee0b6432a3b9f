"""A trained model on disk: weights in safetensors, everything else in JSON. No pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic, write_text
from affectflow.provenance.content import sha256
from affectflow.temporal.decide import Decision
from affectflow.temporal.sequence_model import SequenceModel

SCHEMA_VERSION = 2
REMEDY = "Train it again, or name both files of one trained model."


def save_model(
    model: SequenceModel,
    weights: Path,
    description: Path,
    decisions: Sequence[Decision],
    trained: Mapping[str, Any],
) -> None:
    """Write a model as ``model.safetensors`` and ``model.json``.

    Parameters
    ----------
    model : SequenceModel
    weights, description : Path
        The two files; the second says the first's SHA-256.
    decisions : sequence of Decision
        How each task's level is taken from its probabilities.
    trained : mapping
        What else to say of it (experiment, seed, epoch), for people: loading doesn't need it.
    """
    # A backbone's weights lie in another order of memory, which safetensors does not take.
    tensors = {
        name: tensor.cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    with atomic(weights) as temporary:
        save_file(tensors, temporary)
    write_description(description, model.description, model.tasks, decisions, weights, trained)


def write_description(
    path: Path,
    own: Mapping[str, Any],
    tasks: Sequence[Task],
    decisions: Sequence[Decision],
    weights: Path,
    trained: Mapping[str, Any],
) -> None:
    """Write ``model.json``: what this kind of model says of itself, and what every model says."""
    content = {
        "schema_version": SCHEMA_VERSION,
        **own,
        "tasks": [asdict(task) for task in tasks],
        "decisions": [asdict(decision) for decision in decisions],
        "weights_sha256": sha256(weights),
        "trained": dict(trained),
    }
    write_text(path, json.dumps(content, indent=2) + "\n")


def load_model(weights: Path, description: Path, device: torch.device) -> SequenceModel:
    """Rebuild what `save_model` wrote, in evaluation mode.

    Raises
    ------
    UserError
        If a file is missing, damaged, of another schema or model, or its shapes don't fit.
    """
    model = _describe(description)
    expected = json.loads(description.read_text(encoding="utf-8"))["weights_sha256"]
    try:
        tensors = load_file(weights)
    except FileNotFoundError as error:
        raise UserError(f"{weights}: no such file", REMEDY) from error
    except SafetensorError as error:
        raise UserError(f"{weights}: is damaged or not safetensors ({error})", REMEDY) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            raise UserError(
                f"{weights}: {name} has shape {found.get(name, 'none')}, "
                f"and {description.name} wants {wanted.get(name, 'none')}",
                REMEDY,
            )
    if sha256(weights) != expected:
        raise UserError(f"{weights}: is not the file that {description} describes", REMEDY)
    model.load_state_dict(tensors)
    return model.to(device).eval()


def _describe(path: Path) -> SequenceModel:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema {content['schema_version']}, not {SCHEMA_VERSION}")
        tasks = [Task(t["name"], t["kind"], tuple(t["levels"])) for t in content["tasks"]]
        if "backbone" in content:
            # By name: an import would make the backbones' code part of every training's digest.
            tuned = import_module("affectflow.training.tuned_model")
            return tuned.from_description(content, tasks)
        keys = ("head", "settings", "dim")
        head, settings, dim = (content[key] for key in keys)
        return SequenceModel(head, settings, dim, tasks, content["normalise"], content["loss"])
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file", REMEDY) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is not a model's description ({error!r})", REMEDY) from error
