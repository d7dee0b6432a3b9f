"""Several processes that train one network: the same steps as one process would make.

Gradients are averaged by torch's DistributedDataParallel. What it leaves to do, so that they are
those of one process on the whole batch:

- **the mean**: each process's loss is its part of the mean over the whole batch
  (`affectflow.teacher.losses`), times the number of processes (`Group.scaled`);
- **BatchNorm**: its statistics in training are those of the whole batch. torch's SyncBatchNorm
  computes them on GPUs only, `CrossBatchNorm` anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from affectflow.errors import UserError

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
WAIT = timedelta(minutes=30)
"""How long a process waits for the others: faces may be read from a slow disk."""


@dataclass(frozen=True)
class Group:
    """The processes that train together; by itself, one.

    Attributes
    ----------
    rank : int
        This process, from 0. The first writes the files.
    world : int
        How many there are.
    device : torch.device
        This process's.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum over the processes; of one process, the tensor."""
        if self.world > 1:
            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def same(self, row: Mapping[str, float]) -> dict[str, float]:
        """Return the first process's numbers: what is decided by them, all decide alike."""
        if self.world == 1:
            return dict(row)
        values = torch.tensor(list(row.values()), dtype=torch.float64, device=self.device)
        distributed.broadcast(values, 0)
        return dict(zip(row, values.tolist(), strict=True))

    def agreed(self, position: tuple[int, int]) -> bool:
        """Return whether all processes are at the same epoch and step."""
        if self.world == 1:
            return True
        own = torch.tensor(position, device=self.device)
        every = [torch.empty_like(own) for _ in range(self.world)]
        distributed.all_gather(every, own)
        return all(bool((other == own).all()) for other in every)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            self.total(torch.zeros(1, device=self.device))

    def scaled(self, part: Tensor) -> Tensor:
        """Return what a process differentiates, from its part of the loss.

        The average of gradients divides by the number of processes: the loss is the parts' sum.
        """
        return part * self.world

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a model whose gradients are averaged over the processes."""
        if self.world == 1:
            return model
        places = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=places)

    def synchronised(self, model: nn.Module) -> nn.Module:
        """Return a model whose BatchNorm looks at the batches of all processes.

        The names of its weights stay.
        """
        if self.world == 1:
            return model
        if self.device.type == "cuda":
            return nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return cross_batch_norm(model)


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the processes that the environment tells of, as torchrun and submitit set it.

    ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ``MASTER_PORT`` and, with several GPUs on a machine,
    ``LOCAL_RANK``. Without them, or with ``WORLD_SIZE=1``, this is one process.

    Parameters
    ----------
    device : torch.device
        A CUDA device without an index takes that of ``LOCAL_RANK``.

    Raises
    ------
    UserError
        If a variable is missing or no number.
    """
    world = _number("WORLD_SIZE", 1)
    if world == 1:
        yield Group(device=device)
        return
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {world}, and {', '.join(missing)} is not set",
            "Start the processes with torchrun or submitit, or unset WORLD_SIZE.",
        )
    rank = _number("RANK", 0)
    if not 0 <= rank < world:
        raise UserError(f"RANK is {rank} of a WORLD_SIZE of {world}", "Ranks count from 0.")
    if device.type == "cuda":
        # Where the scheduler shows each process its own GPU only, that is number 0 to all.
        index = device.index
        if index is None:
            index = _number("LOCAL_RANK", rank) % torch.cuda.device_count()
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=world, timeout=WAIT
    )
    try:
        yield Group(rank, world, device)
    finally:
        distributed.destroy_process_group()


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "").strip()
    try:
        return int(text) if text else otherwise
    except ValueError as error:
        raise UserError(f"{name} is '{text}'", "It must be a whole number.") from error


class _Total(torch.autograd.Function):
    """The sum over processes, through which gradients go: each is the sum of all processes'."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class CrossBatchNorm(nn.BatchNorm2d):
    """BatchNorm whose statistics, in training, are those of all processes' batches together.

    Processes may have different numbers of images: sums and counts are added up, not means. The
    variance is of deviations from the common mean; a mean of squares would lose digits.
    """

    def forward(self, given: Tensor) -> Tensor:
        """Normalise (n, C, h, w); n may differ between processes, and be 0."""
        if not self.training:
            return super().forward(given)
        over = (0, 2, 3)
        count = given.new_full((1,), given.numel() // given.shape[1])
        sums = _Total.apply(torch.cat([given.sum(over), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = given - mean[:, None, None]
        variance = _Total.apply(centred.square().sum(over)) / total
        with torch.no_grad():
            self._follow(mean, variance * total / (total - 1).clamp(min=1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        found = centred * scale[:, None, None]
        return found + self.bias[:, None, None] if self.affine else found

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # torch's sign for a plain mean over all batches
            share = 1 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def cross_batch_norm(model: nn.Module) -> nn.Module:
    """Return a model with `CrossBatchNorm` in place of each BatchNorm2d, weights and all."""
    if isinstance(model, nn.BatchNorm2d):
        own = CrossBatchNorm(
            model.num_features, model.eps, model.momentum, model.affine, model.track_running_stats
        )
        own.__dict__.update(model.__dict__)
        return own
    for name, part in model.named_children():
        model.add_module(name, cross_batch_norm(part))
    return model
