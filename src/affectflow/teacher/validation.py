"""How well the teacher does on faces it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import Tensor

from affectflow.evaluation.metrics import measure
from affectflow.teacher.batches import Expressions, Feed, Triplets
from affectflow.teacher.distributed import Group
from affectflow.teacher.losses import (
    MARGINS,
    cross_entropy_part,
    distances,
    joint,
    margins,
    triplet_losses,
)
from affectflow.teacher.network import EXPRESSION, TRIPLET_DIM, Teacher


def validate(
    teacher: Teacher,
    triplets: Triplets,
    expressions: Expressions,
    feed: Feed,
    *,
    alpha: float,
    batch_size: int,
    group: Group,
) -> tuple[dict[str, float], NDArray[np.int64]]:
    """Return an epoch's figures, and AffectNet's predictions, (n,) codes.

    Parameters
    ----------
    teacher : Teacher
        It is left in evaluation mode.
    triplets, expressions
        At least one each. A face of several triplets is looked at once.
    feed : Feed
    alpha : float
    batch_size : int
    group : Group
        Its processes share the faces.

    Returns
    -------
    dict of str to float
        ``validation_loss`` is joint and without class weights; ``validation_triplet_loss``,
        ``validation_cross_entropy``; ``validation_triplet_accuracy``, also per kind of triplet
        (NaN where there is none); ``validation_accuracy`` and ``validation_macro_f1`` of
        AffectNet.
    """
    teacher.eval()
    used, place = np.unique(triplets.index, return_inverse=True)
    faces = [triplets.faces[at] for at in used]
    embedded = _outputs(teacher, "fec", faces, feed, batch_size, group)
    embeddings = embedded[torch.from_numpy(place.reshape(-1, 3))]
    odd, margin = torch.from_numpy(triplets.odd), torch.from_numpy(margins(triplets.kind))
    losses = triplet_losses(embeddings, odd, margin)
    right = found_odd(embeddings, odd).numpy()

    logits = _outputs(teacher, "affectnet", expressions.faces, feed, batch_size, group)
    label = torch.from_numpy(expressions.expression)
    predicted = logits.argmax(dim=1).numpy()
    scores = measure(expressions.expression, predicted, EXPRESSION)

    triplet, entropy = losses.mean(), cross_entropy_part(logits, label, label)
    row = {
        "validation_loss": float(joint(triplet, entropy, alpha)),
        "validation_triplet_loss": float(triplet),
        "validation_cross_entropy": float(entropy),
        "validation_triplet_accuracy": float(right.mean()),
    }
    for kind in MARGINS:
        own = right[triplets.kind == kind]
        row[f"validation_triplet_accuracy_{kind}"] = float(own.mean()) if own.size else np.nan
    row |= {f"validation_{name}": scores[name] for name in ("accuracy", "macro_f1")}
    return row, predicted


def found_odd(embeddings: Tensor, odd: Tensor) -> Tensor:
    """Return for which triplets (t, 3, D) the odd face is found, (t,) bool.

    It is where both its distances are larger than the one between the other two ("triplet
    prediction accuracy", Vemulapalli and Agarwala 2019). Equal distances find nothing, so that
    embeddings that are all one and the same have an accuracy of 0, not of chance.
    """
    squared = distances(embeddings)
    similar = squared.gather(1, odd[:, None])
    others = torch.arange(3, device=odd.device) != odd[:, None]
    return ((squared > similar) | ~others).all(dim=1)


@torch.no_grad()
def _outputs(
    teacher: Teacher,
    head: str,
    faces: Sequence[Any],
    feed: Feed,
    batch_size: int,
    group: Group,
) -> Tensor:
    """Return a head's outputs of all faces, (n, D) float32 on the CPU, in every process."""
    width = TRIPLET_DIM if head == "fec" else len(EXPRESSION.levels)
    apply = teacher.compare if head == "fec" else teacher.classify
    found = torch.zeros((len(faces), width), device=group.device)
    own = np.array_split(np.arange(len(faces)), group.world)[group.rank]
    at = int(own[0]) if own.size else 0
    for images in feed.images([faces[place] for place in own], batch_size):
        found[at : at + len(images)] = apply(teacher.embed(images))
        at += len(images)
    return group.total(found).cpu().clone()


def summary(
    row: dict[str, float],
    predicted: NDArray[np.int64],
    triplets: Triplets,
    expressions: Expressions,
    trained_on: NDArray[np.int64],
) -> dict[str, Any]:
    """Return what ``metrics.json`` says of an epoch: figures, and what they have to beat.

    Parameters
    ----------
    row, predicted
        What `validate` returned.
    triplets, expressions
        What it was of.
    trained_on : numpy.ndarray
        (n,) int64: expressions of the training images. The majority floor knows these alone.
    """
    label = expressions.expression
    levels = len(EXPRESSION.levels)
    majority = int(np.bincount(trained_on, minlength=levels).argmax())
    floor = measure(label, np.full_like(label, majority), EXPRESSION)
    counts = confusion_matrix(label, predicted, labels=range(levels))
    return {
        "fec": {
            "triplets": len(triplets.odd),
            "accuracy": row["validation_triplet_accuracy"],
            # Of three faces one is odd: what guessing gets.
            "floor": {"accuracy": 1 / 3},
            "per_kind": {
                kind: {
                    "triplets": int((triplets.kind == kind).sum()),
                    "accuracy": _or_none(row[f"validation_triplet_accuracy_{kind}"]),
                }
                for kind in MARGINS
            },
        },
        "affectnet": {
            "images": len(label),
            "levels": list(EXPRESSION.levels),
            **{k: _or_none(v) for k, v in measure(label, predicted, EXPRESSION).items()},
            "confusion": counts.tolist(),
            "floor": {
                "majority": EXPRESSION.levels[majority],
                **{name: floor[name] for name in ("accuracy", "macro_f1", "balanced_accuracy")},
            },
        },
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
