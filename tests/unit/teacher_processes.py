"""What each of several processes does in `test_teacher_distributed`."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import torch
from teacher_faces import DATA, TINY, read, settings, train
from torch import Tensor, nn

from affectflow.backbones.models import fecnet
from affectflow.backbones.spec import Backbone
from affectflow.teacher.batches import Feed, plan
from affectflow.teacher.distributed import Group, joined
from affectflow.teacher.losses import joint
from affectflow.teacher.network import Teacher
from affectflow.teacher.training import losses

WEIGHTS = torch.linspace(0.5, 2, 8)


def exact(spec: Backbone) -> Backbone:
    """Return a network in double: what differs then is not rounding, which BatchNorm magnifies."""
    return replace(
        spec,
        build=lambda: spec.build().double(),
        preprocess=lambda pixels: spec.preprocess(pixels.double()),
    )


# The last batch of 21 triplets by 4 has one: a process of two has no triplet then.
CASES: dict[str, dict[str, object]] = {
    "even": {"batch_size": 8},
    "uneven": {"batch_size": 7},
    "one_triplet": {"batch_size": 4, "step": 5},
    "weighted": {"batch_size": 7, "weights": True},
    "base_kept": {"batch_size": 7, "kept": True},
    "not_synchronised": {"batch_size": 7, "synchronised": False},
    "single_precision": {"batch_size": 7, "spec": TINY},
    # Smaller faces, for speed: the last map is 1 x 1.
    "fecnet": {"batch_size": 2, "step": 10, "spec": exact(replace(fecnet.BACKBONE, size=75))},
}


def gradients(
    group: Group,
    batch_size: int,
    step: int = 0,
    weights: bool = False,
    kept: bool = False,
    synchronised: bool = True,
    spec: Backbone | None = None,
) -> dict[str, Tensor]:
    """Return the gradients and BatchNorm's statistics after one step's backward pass."""
    torch.manual_seed(0)
    spec = spec or exact(TINY)
    teacher = Teacher(spec, base_norm_kept=kept).train()
    for head in teacher.heads.values():
        head.to(next(teacher.backbone.parameters()).dtype)
    model: nn.Module = teacher
    if synchronised:
        group.synchronised(teacher)
    model = group.wrap(teacher)
    sharing = {"rank": group.rank, "world": group.world, "first": step, "flip": True}
    order = plan(21, 30, epoch=1, batch_size=batch_size, seed=0, **sharing)
    feed = Feed(read, spec.size, group.device)
    batch = next(feed.batches(order, DATA.train_triplets, DATA.train_expressions))
    parts = losses(model, batch, WEIGHTS if weights else None)
    group.scaled(joint(*parts, 0.5)).backward()
    found = {f"gradient of {k}": p.grad for k, p in teacher.named_parameters()}
    return found | {k: v.clone() for k, v in teacher.named_buffers() if v.is_floating_point()}


def work(rank: int, world: int, port: int, folder: Path) -> None:
    """Compute every case, and a short training, as one of several processes."""
    logging.basicConfig(level=logging.WARNING)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as group:
        assert (group.rank, group.world) == (rank, world)
        found = {name: gradients(group, **keys) for name, keys in CASES.items()}
        trained = train(folder, group=group, batch_size=7, epochs=2, checkpoint_steps=1)
        same = group.same({"rank": float(rank)})
        agreed = [group.agreed((3, 1)), group.agreed((3, rank))]
    result = {"gradients": found, "weights": trained.weights, "same": same, "agreed": agreed}
    result["history"] = {k: list(v) for k, v in trained.history.to_dict("list").items()}
    result["settings"] = settings().keys()
    torch.save(result, folder / f"{rank}.pt")
