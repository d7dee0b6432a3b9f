"""A trained model on disk: weights in safetensors, everything else in JSON. No pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
from affectflow.temporal.decide import RULES, VALUE, Decision
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


@dataclass(frozen=True)
class Description:
    """What ``model.json`` says of any model.

    Attributes
    ----------
    tasks : tuple of Task
    decisions : tuple of Decision
        How each task's level is taken from the model's probabilities: ``decision(p)``.
    weights_sha256 : str
        Of the file of weights.
    own : mapping
        All of the file, with what this kind of model says of itself.
    """

    tasks: tuple[Task, ...]
    decisions: tuple[Decision, ...]
    weights_sha256: str
    own: Mapping[str, Any]


def read_description(path: Path) -> Description:
    """Read what `write_description` wrote.

    Raises
    ------
    UserError
        If the file is missing, damaged or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema {content['schema_version']}, not {SCHEMA_VERSION}")
        tasks = tuple(Task(t["name"], t["kind"], tuple(t["levels"])) for t in content["tasks"])
        decisions = tuple(Decision(d["rule"], tuple(d["cuts"])) for d in content["decisions"])
        if unknown := {decision.rule for decision in decisions} - {*RULES, VALUE}:
            raise ValueError(f"unknown decision rule {', '.join(unknown)}")
        return Description(tasks, decisions, content["weights_sha256"], content)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file", REMEDY) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is not a model's description ({error!r})", REMEDY) from error


def load_model(weights: Path, description: Path, device: torch.device) -> SequenceModel:
    """Rebuild what `save_model` wrote, in evaluation mode.

    Raises
    ------
    UserError
        If a file is missing, damaged, of another schema or model, or its shapes don't fit.
    """
    said = read_description(description)
    model = _describe(said, description)
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
    if sha256(weights) != said.weights_sha256:
        raise UserError(f"{weights}: is not the file that {description} describes", REMEDY)
    model.load_state_dict(tensors)
    return model.to(device).eval()


def _describe(said: Description, path: Path) -> SequenceModel:
    keys = ("head", "settings", "dim", "normalise", "loss")
    try:
        if "backbone" in said.own:
            # By name: an import would make the backbones' code part of every training's digest.
            tuned = import_module("affectflow.training.tuned_model")
            return tuned.from_description(said.own, said.tasks)
        head, settings, dim, normalise, loss = (said.own[key] for key in keys)
        return SequenceModel(head, settings, dim, said.tasks, normalise, loss)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no sequence model's ({error!r})", REMEDY) from error
