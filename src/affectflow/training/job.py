"""What every training job is given, whatever it trains on, and what it writes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from affectflow.commandline import settings
from affectflow.devices import choose


@dataclass(frozen=True)
class Job:
    """Files in, files out, and how to get from one to the other.

    Attributes
    ----------
    clips, tasks : Path
        ``clips.csv`` and ``tasks.json``.
    training : mapping
        Keys of `affectflow.training.experiment`.
    checkpoint : Path
        Where a killed run goes on.
    model, description, history, predictions : Path
        The files to write.
    seed : int
    device : torch.device
    threads : int
        CPU cores to use.
    code_digest : str
        A checkpoint of other code is not resumed.
    """

    clips: Path
    tasks: Path
    training: Mapping[str, Any]
    checkpoint: Path
    model: Path
    description: Path
    history: Path
    predictions: Path
    seed: int
    device: torch.device
    threads: int
    code_digest: str


def add_arguments(parser: ArgumentParser) -> None:
    """Add a job's arguments to a script's."""
    add = parser.add_argument
    add("--clips", type=Path, required=True, help="clips.csv")
    add("--tasks", type=Path, required=True, help="tasks.json")
    add("--training", type=settings, required=True, help="keys of the experiment")
    add("--seed", type=int, default=1)
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--threads", type=int, default=1, help="CPU cores to use")
    add("--checkpoint", type=Path, required=True, help="where a killed run goes on")
    add("--code", default="", help="digest of the code; a checkpoint of other code is not resumed")
    add("--model", type=Path, required=True, help="model.safetensors to write")
    add("--description", type=Path, required=True, help="model.json to write")
    add("--history", type=Path, required=True, help="history.csv to write")
    add("--predictions", type=Path, required=True, help="predictions.csv to write")


def read_job(arguments: Namespace) -> Job:
    """Return the job that `add_arguments` asked for."""
    return Job(
        clips=arguments.clips,
        tasks=arguments.tasks,
        training=arguments.training,
        checkpoint=arguments.checkpoint,
        model=arguments.model,
        description=arguments.description,
        history=arguments.history,
        predictions=arguments.predictions,
        seed=arguments.seed,
        device=choose(arguments.device),
        threads=arguments.threads,
        code_digest=arguments.code,
    )
