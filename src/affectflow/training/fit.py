"""The whole of training, on one page."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
from torch import Tensor

from affectflow.dataset.tasks import Task
from affectflow.devices import reproducible
from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic
from affectflow.provenance.content import digest
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training import augment
from affectflow.training.balance import draw_probabilities, level_weights
from affectflow.training.checkpoint import (
    load_checkpoint,
    random_states,
    save_checkpoint,
    set_random_states,
)
from affectflow.training.data import SequenceData
from affectflow.training.experiment import Experiment
from affectflow.training.learner import Learner
from affectflow.training.predict import forward
from affectflow.training.select import correlated_features, training_clips
from affectflow.training.validation import validate

log = logging.getLogger(__name__)

FOLLOWED = ("macro_f1", "kappa", "ccc")


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Attributes
    ----------
    model : SequenceModel
        As it was after the best epoch, on the training device, in evaluation mode.
    best_epoch : int
        From 1.
    history : pandas.DataFrame
        One row per epoch: `epoch`, `train_loss`, the figures of `validate`, `learning_rate`.
    """

    model: SequenceModel
    best_epoch: int
    history: pandas.DataFrame


def fit(
    data: SequenceData,
    tasks: Sequence[Task],
    experiment: Experiment,
    checkpoint: Path,
    *,
    device: torch.device,
    seed: int,
    threads: int = 1,
    code_digest: str = "",
    learner: Learner | None = None,
) -> Fitted:
    """Train a sequence model with Adam; keep the epoch that validates best.

    The same data, experiment, seed, device and threads give the same bits, and so does a run that
    was killed after any epoch and called again.

    Parameters
    ----------
    data : SequenceData
    tasks : sequence of Task
        In the order of the columns of ``data.levels``.
    experiment : Experiment
    checkpoint : Path
        Written after every epoch. One of another run, or damaged, is not resumed.
    device : torch.device
    seed : int
    threads : int
        CPU threads. They decide the order of sums, so a run is resumed on as many as it began.
    code_digest : str
        Digest of the code; a checkpoint of other code is not resumed.
    learner : Learner or None
        What is trained, and on what; None for a head on embeddings.

    Raises
    ------
    UserError
        If no training clip is labelled, or the loss is not finite.
    """
    learner = learner or Learner()
    data, train = training_clips(data, experiment, seed)
    validation = data.labelled("validation")
    if len(validation) == 0:
        log.warning("no labelled validation clip: the last epoch is kept, patience does nothing")

    with reproducible(threads):
        torch.manual_seed(seed)
        shuffle = torch.Generator().manual_seed(seed)
        model = learner.model(experiment, data.dim, tasks)
        model.standardise.measure(data.blocks(train))
        model.objective.measure(torch.from_numpy(data.labels[train]))
        if experiment.feature_alpha is not None:
            model.standardise.select(
                correlated_features(data, train, tasks, experiment.feature_alpha)
            )
        model.to(device)
        rare = level_weights(data.levels[train], tasks, experiment.level_weights)
        weights = None if rare is None else [torch.from_numpy(own).to(device) for own in rare]
        # Keras' epsilon (the dissertation trained in Keras); torch's own is 1e-8.
        optimiser = torch.optim.Adam(learner.parameters(model, experiment), eps=1e-7, fused=True)
        feed = learner.feed(data, device)
        history: list[dict[str, Any]] = []
        best: dict[str, Any] = {"epoch": 0, "score": -math.inf, "model": {}}

        names = [asdict(task) for task in tasks]
        setting = [experiment.keys(), names, seed, threads, device.type, torch.__version__]
        fingerprint = digest([*setting, code_digest, data.digest()])
        state = load_checkpoint(checkpoint, fingerprint, device)
        if state:
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            shuffle.set_state(state["shuffle"].cpu())
            set_random_states(state["random"], device)
            history, best = state["history"], state["best"]
            log.info("resumed after epoch %d", len(history))

        for epoch in range(len(history) + 1, experiment.epochs + 1):
            if experiment.patience and epoch > best["epoch"] + experiment.patience:
                log.info("no better epoch in %d: stopped", experiment.patience)
                break
            began = time.monotonic()
            model.train()
            losses = []
            order = _order(data.levels[train], tasks, experiment.sampling, shuffle)
            for clips in torch.from_numpy(train)[order].split(experiment.batch_size):
                loss = batch_loss(model, feed(clips), weights, experiment)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.detach() * len(clips))
            row = {"epoch": epoch, "train_loss": float(torch.stack(losses).sum()) / len(train)}
            if not math.isfinite(row["train_loss"]):
                raise UserError(
                    f"the loss of epoch {epoch} is {row['train_loss']}",
                    "Lower learning_rate, or set normalise: dataset.",
                )
            if len(validation):
                scores = forward(model, feed, validation)
                known = torch.from_numpy(data.labels[validation])
                row |= validate(scores, known, model.objective, experiment.loss_settings)
            history.append(row | {"learning_rate": experiment.learning_rate})
            score = _score(row, experiment.select_by)
            if not best["epoch"] or score > best["score"]:
                kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
                best = {"epoch": epoch, "score": score, "model": kept}
            save_checkpoint(
                checkpoint,
                {
                    "fingerprint": fingerprint,
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "shuffle": shuffle.get_state(),
                    "random": random_states(device),
                    "history": history,
                    "best": best,
                },
            )
            _report(row, experiment, best["epoch"], time.monotonic() - began, len(train))

        model.load_state_dict(best["model"])
    return Fitted(model.eval(), best["epoch"], pandas.DataFrame(history))


def _order(
    levels: np.ndarray, tasks: Sequence[Task], sampling: str, generator: torch.Generator
) -> Tensor:
    """Return the places (clips,) of one epoch's training clips."""
    if sampling == "balanced":
        probable = torch.from_numpy(draw_probabilities(levels, tasks))
        return torch.multinomial(probable, len(levels), replacement=True, generator=generator)
    return torch.randperm(len(levels), generator=generator)


def batch_loss(
    model: SequenceModel,
    batch: tuple[Tensor, Tensor, Tensor],
    weights: Sequence[Tensor] | None,
    experiment: Experiment,
) -> Tensor:
    """Return the loss () of a batch, as a feed gives it, augmented as the keys say."""
    given, mask, levels = batch
    embedding = model.embed(given, mask)
    if experiment.time_mask:
        embedding, mask = augment.time_mask(embedding, mask, experiment.time_mask)
    if experiment.jitter:
        scale = experiment.jitter * model.standardise.std
        embedding, mask = augment.jitter(embedding, mask, scale)
    if experiment.mixup:
        other = torch.randperm(len(levels)).to(levels.device)
        share = augment.draw_share(experiment.mixup).to(levels.device)
        embedding, mask = augment.mixup(embedding, mask, other, share)
    scores = model(embedding, mask)

    def loss(truth: Tensor) -> Tensor:
        return model.objective(scores, truth, weights, experiment.loss_settings)

    return augment.mixed_loss(loss, levels, other, share) if experiment.mixup else loss(levels)


def _score(row: dict[str, Any], select_by: str) -> float:
    """Return what the best epoch has most of; without validation, the last epoch."""
    if "validation_loss" not in row:
        return float(row["epoch"])
    value = float(row.get(f"validation_{select_by}", math.nan))
    if math.isnan(value):
        return -math.inf
    return -value if select_by == "loss" else value


def _report(
    row: dict[str, Any], experiment: Experiment, best: int, seconds: float, clips: int
) -> None:
    figures = ", ".join(
        f"{name.replace('_', ' ')} {row[name]:.4f}"
        for name in ("train_loss", "validation_loss", *map("validation_{}".format, FOLLOWED))
        if name in row and not math.isnan(row[name])
    )
    pace = f"{seconds:.1f} s ({clips / max(seconds, 1e-9):.0f} training clips/s)"
    log.info("epoch %d/%d: %s; best %d; %s", row["epoch"], experiment.epochs, figures, best, pace)


def write_history(history: pandas.DataFrame, path: Path) -> None:
    """Write the history with 8 significant digits: equal runs are equal bytes."""
    with atomic(path) as temporary:
        history.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
