"""The whole of the teacher's training, on one page: Algorithm 3.1 of Abraham (2022)."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affectflow.backbones.spec import Backbone
from affectflow.backbones.weights import backbone as find
from affectflow.devices import reproducible
from affectflow.errors import UserError
from affectflow.provenance.content import digest, sha256
from affectflow.teacher.batches import Batch, Expressions, Feed, Read, Triplets, plan, steps_of
from affectflow.teacher.distributed import Group
from affectflow.teacher.losses import cross_entropy_part, joint, triplet_part
from affectflow.teacher.network import EXPRESSION, Teacher, load_base
from affectflow.teacher.settings import TeacherSettings
from affectflow.teacher.validation import summary, validate
from affectflow.training.balance import level_weights
from affectflow.training.checkpoint import (
    load_checkpoint,
    random_states,
    save_checkpoint,
    set_random_states,
)

log = logging.getLogger(__name__)

BACKBONE = "fecnet"
REPORT = 100
"""Steps between two lines of the log."""


@dataclass(frozen=True)
class TeacherData:
    """What the teacher is trained on, what its epochs are judged by, and what is reported."""

    train_triplets: Triplets
    train_expressions: Expressions
    validation_triplets: Triplets
    validation_expressions: Expressions
    test_triplets: Triplets
    test_expressions: Expressions

    def sizes(self) -> dict[str, int]:
        """Return how many triplets and images there are, by a name for messages."""
        return {
            "FEC's training triplets": len(self.train_triplets.odd),
            "AffectNet's training images": len(self.train_expressions.expression),
            "FEC's validation triplets": len(self.validation_triplets.odd),
            "AffectNet's validation images": len(self.validation_expressions.expression),
            "FEC's test triplets": len(self.test_triplets.odd),
            "AffectNet's test images": len(self.test_expressions.expression),
        }

    def digest(self) -> str:
        """Return a digest of faces (names of files, not their folders) and labels."""
        found = hashlib.sha256()
        for triplets in (self.train_triplets, self.validation_triplets, self.test_triplets):
            for array in (triplets.index, triplets.odd, triplets.kind):
                found.update(array.tobytes())
        for images in (self.train_expressions, self.validation_expressions, self.test_expressions):
            found.update(images.expression.tobytes())
        for part in vars(self).values():
            for face in part.faces:
                found.update(f"{Path(face.path).name} {face.box}\n".encode())
        return found.hexdigest()


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes
    ----------
    weights : dict of str to torch.Tensor
        `Teacher.weights` after the best epoch, on the CPU.
    best_epoch : int
        From 1.
    metrics : dict
        `affectflow.teacher.validation.summary` of the test parts, looked at for that epoch alone;
        ``validation`` has that of the parts by which it was chosen.
    history : pandas.DataFrame
        One row per epoch.
    said : dict
        What else to tell of the run: settings, sizes, precision, base.
    """

    weights: dict[str, Tensor]
    best_epoch: int
    metrics: dict[str, Any]
    history: pandas.DataFrame
    said: dict[str, Any]


def train_teacher(
    data: TeacherData,
    settings: TeacherSettings,
    checkpoint: Path,
    *,
    read: Read,
    group: Group | None = None,
    base: Path | None = None,
    threads: int = 1,
    workers: int = 0,
    identity: str = "",
    spec: Backbone | None = None,
) -> Trained:
    """Train the teacher with Adam; keep the epoch that validates best, and test that one.

    Best is the lowest joint validation loss: it is what is minimised, both data sets have their
    say in it, and it moves where an accuracy of few thousand faces only jitters.

    On a CPU, one process that was killed at any moment and called again ends in the bytes of one
    that was left alone. The checkpoint also serves another number of processes: the steps are the
    same, their last digits are not.

    Parameters
    ----------
    data : TeacherData
    settings : TeacherSettings
    checkpoint : Path
        On a disk that all processes see. Written after every epoch, and every
        `checkpoint_steps`. One of another run, or damaged, is not resumed.
    read : callable
        From a face and a side in pixels to (size, size, 3) uint8 RGB.
    group : Group or None
        The processes, and this one's device; None for one on the CPU.
    base : Path or None
        Weights of ``inception_resnet_v1``, as `affectflow.backbones.weights.prepare` wrote them;
        None for a random base.
    threads : int
        CPU threads that compute.
    workers : int
        Threads that read faces.
    identity : str
        A digest of more than is given here, such as the code: a checkpoint of another is not
        resumed.
    spec : Backbone or None
        None for `fecnet`.

    Raises
    ------
    UserError
        If a data set is empty, the batch is smaller than the number of processes, the device has
        no bf16, the base's weights don't fit, or the loss is not finite.
    """
    group = group or Group()
    spec, device = spec or find(BACKBONE), group.device
    _check(data, settings, group)
    half = _half(settings.precision, device)

    with reproducible(threads):
        if device.type == "cuda":
            # An operation that a GPU can't repeat exactly is told of, and does not end a run.
            torch.use_deterministic_algorithms(True, warn_only=True)
        torch.manual_seed(settings.seed)
        kept = settings.base_norm == "kept" or settings.base == "frozen"
        kept = kept or (settings.base_norm == "auto" and base is not None)
        teacher = Teacher(spec, base_trained=settings.base == "trained", base_norm_kept=kept)
        if base is not None:
            load_base(teacher.backbone, base)
        teacher.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        group.synchronised(teacher)
        learnt = [each for each in teacher.parameters() if each.requires_grad]
        optimiser = torch.optim.Adam(learnt, lr=settings.learning_rate, fused=True)
        rare = level_weights(
            data.train_expressions.expression[:, None], [EXPRESSION], settings.class_weights
        )
        weights = None if rare is None else torch.from_numpy(rare[0]).to(device)
        feed = Feed(read, spec.size, device, workers)
        sizes = list(data.sizes().values())
        steps = steps_of(sizes[0], settings.batch_size)

        keys = {name: v for name, v in settings.keys().items() if name != "checkpoint_steps"}
        given = {"base": sha256(base) if base else "random", "bf16": half, "kept": kept}
        setting = [keys, given, threads, device.type, torch.__version__, identity]
        fingerprint = digest([*setting, data.digest()])
        history: list[dict[str, Any]] = []
        best: dict[str, Any] = {"epoch": 0, "loss": math.inf}
        begun, sums = 0, torch.zeros(2, device=device)
        # On the CPU: what Adam keeps there is slow to read on a GPU, and loading moves the rest.
        state = load_checkpoint(checkpoint, fingerprint, torch.device("cpu"))
        if state:
            teacher.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            set_random_states(state["random"], device)
            history, best, begun = state["history"], state["best"], state["step"]
            sums += state["sums"].to(device) if group.first else 0
            log.info("resumed after epoch %d, step %d", len(history), begun)
        if not group.agreed((len(history), begun)):
            raise UserError(
                f"{checkpoint}: the processes read different states of it",
                "Keep it on a disk that all machines see; start again after a minute.",
            )
        model = group.wrap(teacher)

        def save(step: int, sums: Tensor) -> None:
            state = {
                "fingerprint": fingerprint,
                "model": teacher.state_dict(),
                "optimiser": optimiser.state_dict(),
                "random": random_states(device),
                "history": history,
                "best": best,
                "step": step,
                "sums": sums,
            }
            if group.first:
                save_checkpoint(checkpoint, state)

        def judged(
            triplets: Triplets, images: Expressions
        ) -> tuple[dict[str, float], NDArray[np.int64]]:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                figures, predicted = validate(
                    teacher,
                    triplets,
                    images,
                    feed,
                    alpha=settings.alpha,
                    batch_size=settings.batch_size,
                    group=group,
                )
            return group.same(figures), predicted

        for epoch in range(len(history) + 1, settings.epochs + 1):
            if settings.patience and epoch > best["epoch"] + settings.patience:
                log.info("no better epoch in %d: stopped", settings.patience)
                break
            started, first, seen = time.monotonic(), begun, 0
            teacher.train()
            order = plan(
                *sizes[:2],
                epoch=epoch,
                batch_size=settings.batch_size,
                seed=settings.seed,
                flip=settings.flip,
                first=first,
                rank=group.rank,
                world=group.world,
            )
            batches = feed.batches(order, data.train_triplets, data.train_expressions)
            for done, batch in enumerate(batches, first + 1):
                triplet, entropy = losses(model, batch, weights, half)
                optimiser.zero_grad()
                group.scaled(joint(triplet, entropy, settings.alpha)).backward()
                passed = (epoch - 1 + (done - 1) / steps) / settings.epochs
                for parameters in optimiser.param_groups:
                    parameters["lr"] = settings.learning_rate * slowed(settings.schedule, passed)
                optimiser.step()
                sums += torch.stack([triplet, entropy]).detach() * batch.all_triplets
                seen += len(batch.images)
                due = done % (settings.checkpoint_steps or steps) == 0
                if done < steps and (due or done % REPORT == 0):
                    total = group.total(sums)
                    _check_finite(total, epoch)
                    pace = seen * group.world / (time.monotonic() - started)
                    log.info("epoch %d, step %d/%d: %.0f images/s", epoch, done, steps, pace)
                    if due:
                        save(done, total)

            means = (group.total(sums) / sizes[0]).tolist()
            _check_finite(torch.tensor(means), epoch)
            row = {"epoch": epoch, "train_loss": means[0] + settings.alpha * means[1]}
            row |= {"train_triplet_loss": means[0], "train_cross_entropy": means[1]}
            figures, predicted = judged(data.validation_triplets, data.validation_expressions)
            row |= figures
            # The last step may have spoilt the weights, which no training loss has seen yet.
            names = ("validation_triplet_loss", "validation_cross_entropy")
            _check_finite(torch.tensor([row[name] for name in names]), epoch)
            history.append(row | {"processes": group.world})
            if not best["epoch"] or row["validation_loss"] < best["loss"]:
                metrics = summary(
                    row,
                    predicted,
                    data.validation_triplets,
                    data.validation_expressions,
                    data.train_expressions.expression,
                )
                best = {"epoch": epoch, "loss": row["validation_loss"], "metrics": metrics}
                best["weights"] = teacher.weights()
            begun = 0
            sums.zero_()
            save(0, sums)
            _report(row, settings, best["epoch"], time.monotonic() - started)
        teacher.load_weights(best["weights"])
        tested = data.test_triplets, data.test_expressions
        metrics = summary(*judged(*tested), *tested, data.train_expressions.expression)
        group.wait()

    said = given | {"sizes": data.sizes(), "processes": group.world, "device": device.type}
    kept_weights = {name: tensor.cpu() for name, tensor in best["weights"].items()}
    metrics |= {"validation": best["metrics"]}
    return Trained(kept_weights, best["epoch"], metrics, pandas.DataFrame(history), said)


def slowed(schedule: str, passed: float) -> float:
    """Return the share of the learning rate that is left after this share of all steps."""
    return 0.5 + 0.5 * math.cos(math.pi * passed) if schedule == "cosine" else 1.0


def losses(
    model: nn.Module, batch: Batch, weights: Tensor | None = None, half: bool = False
) -> tuple[Tensor, Tensor]:
    """Return this process's parts () of a batch's mean triplet loss and mean cross-entropy.

    Parameters
    ----------
    model : torch.nn.Module
        A `Teacher`, wrapped or not.
    batch : Batch
    weights : torch.Tensor or None
        (8,) float32: how much an image of each expression counts.
    half : bool
        Whether the network computes in bf16; the losses are float32's.
    """
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=half):
        embeddings, logits = model(batch.images, len(batch.odd))
    triplet = triplet_part(embeddings, batch.odd, batch.margin, batch.all_triplets)
    entropy = cross_entropy_part(logits, batch.expression, batch.all_expressions, weights)
    return triplet, entropy


def _check(data: TeacherData, settings: TeacherSettings, group: Group) -> None:
    for name, size in data.sizes().items():
        if not size:
            raise UserError(
                f"teacher: {name}: there is none",
                "Check the data set's path; the teacher is trained on FEC and AffectNet at once.",
            )
    if settings.batch_size < group.world:
        raise UserError(
            f"teacher: batch_size: {settings.batch_size} can't be shared by "
            f"{group.world} processes",
            "Raise batch_size, or take fewer GPUs.",
        )


def _half(precision: str, device: torch.device) -> bool:
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not able:
        raise UserError(
            f"teacher: precision: this {device.type} device has no bf16 to train in",
            "Set precision: auto, or ask for a GPU with bf16 (Ampere or newer).",
        )
    return able and precision != "fp32"


def _check_finite(sums: Tensor, epoch: int) -> None:
    if not bool(torch.isfinite(sums).all()):
        raise UserError(
            f"teacher: the loss of epoch {epoch} is not finite "
            f"(triplet {float(sums[0])}, cross-entropy {float(sums[1])})",
            "Lower learning_rate, or set precision: fp32.",
        )


def _report(row: dict[str, Any], settings: TeacherSettings, best: int, seconds: float) -> None:
    names = (
        "train_loss",
        "validation_loss",
        "validation_triplet_accuracy",
        "validation_accuracy",
        "validation_macro_f1",
    )
    figures = ", ".join(f"{name.replace('_', ' ')} {row[name]:.4f}" for name in names)
    line = "epoch %d/%d: %s; best %d; %.1f s"
    log.info(line, row["epoch"], settings.epochs, figures, best, seconds)
