"""A training job: files in, files out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from affectflow.dataset.clips import read_clips
from affectflow.dataset.tasks import read_tasks
from affectflow.shards.embeddings import open_joined
from affectflow.temporal.settings import is_pooled
from affectflow.training.data import assemble
from affectflow.training.experiment import read_experiment
from affectflow.training.feed import Feed
from affectflow.training.finish import decisions_of, finish, how_trained
from affectflow.training.fit import fit, write_history
from affectflow.training.pooled import fit_pooled, predict_pooled
from affectflow.training.pooled_files import save_pooled
from affectflow.training.predict import DECIMALS, tabulate, write_predictions

log = logging.getLogger(__name__)


def train(
    *,
    embeddings: Path,
    clips: Path,
    tasks: Path,
    training: Mapping[str, Any],
    seed: int,
    device: torch.device,
    threads: int,
    checkpoint: Path,
    code_digest: str,
    model: Path,
    description: Path,
    history: Path,
    predictions: Path,
) -> None:
    """Train one experiment and predict every clip.

    Parameters
    ----------
    embeddings, clips, tasks : Path
        Joined embeddings, clips.csv and tasks.json.
    training : mapping
        Keys of `affectflow.training.experiment`.
    seed, device, threads, checkpoint, code_digest
        See `affectflow.training.fit.fit`; the checkpoint is removed when all is written.
    model, description, history, predictions : Path
        The files to write.

    Raises
    ------
    UserError
        If the inputs are damaged or don't belong together, or there is nothing to train on.
    """
    known = read_tasks(tasks)
    experiment = read_experiment(training)
    table = read_clips(clips, known)
    with open_joined(embeddings) as joined:
        data = assemble(*joined, table, known, experiment.frames, experiment.key_frames)
        log.info("%d clips of %d frames on %s", *data.mask.shape, device)
        if is_pooled(experiment.head):
            pooled, epochs = fit_pooled(data, known, experiment, seed=seed, threads=threads)
            probabilities = predict_pooled(pooled, data, DECIMALS, threads)
            modes = ["mode"] * len(known)
            decisions = decisions_of(probabilities, data, known, experiment, modes, seed)
            trained = how_trained(experiment, seed, best_epoch=1)
            save_pooled(pooled, model, description, decisions, trained)
            write_history(epochs, history)
            write_predictions(tabulate(probabilities, data, known, decisions), predictions)
        else:
            fitted = fit(
                data,
                known,
                experiment,
                checkpoint,
                device=device,
                seed=seed,
                threads=threads,
                code_digest=code_digest,
            )
            finish(
                fitted,
                data,
                known,
                experiment,
                feed=Feed(data, device),
                seed=seed,
                threads=threads,
                model=model,
                description=description,
                history=history,
                predictions=predictions,
            )
    checkpoint.unlink(missing_ok=True)
