"""The processor that a stage computes on, and the settings that make it compute the same twice."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from affectflow.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose(device: str) -> torch.device:
    """Return the device that a config names.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
        ``auto`` takes CUDA if torch finds it, then Apple's MPS, then the CPU. The environment is
        not asked: a scheduler can set ``CUDA_VISIBLE_DEVICES`` where there is no CUDA device.

    Raises
    ------
    UserError
        If the name is unknown, or torch doesn't find the device.
    """
    if device not in DEVICES:
        raise UserError(f"device: unknown device '{device}'", did_you_mean(device, DEVICES))
    found = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        if os.environ.get("SLURM_JOB_GPUS") and not found["cuda"]:
            made_for = torch.version.cuda
            log.warning(
                "SLURM gave this job a GPU that torch %s does not find, and it goes on without: %s",
                torch.__version__,
                f"is the driver (nvidia-smi) too old for CUDA {made_for}?"
                if made_for
                else "this torch is built without CUDA",
            )
        return torch.device(next(name for name, here in found.items() if here))
    if not found[device]:
        raise UserError(
            f"device: {device} is asked for, and torch {torch.__version__} finds none here",
            "Use device: auto, or ask the scheduler for a GPU, "
            "or install a torch build that fits this machine's driver.",
        )
    return torch.device(device)


def full_float32() -> None:
    """Have GPUs multiply whole float32 numbers, in this process from now on.

    In convolutions torch's default is TF32, which keeps 10 bits of each factor.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def stacked(images: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    """Return images (n, H, W, 3) uint8 on the CPU, from where a copy to that device is quickest.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        n images (H, W, 3) uint8 of one size, at least one.
    device : torch.device
    """
    shape = len(images), *images[0].shape
    # From pinned memory a copy to a GPU runs beside what it computes.
    batch = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(images, out=batch.numpy())
    return batch


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Compute deterministically, in full float32, on a stated number of CPU threads.

    Thread counts decide the order of sums, and so the last bits; TF32 would keep 10 bits of each
    factor. Numbers too small for a float32's full precision count as zero: on a CPU they cost ten
    times as much, and training makes many. Threads and determinism are at the end what they were
    before, small numbers torch's default; TF32 stays forbidden.
    """
    # cuBLAS repeats its sums in one order only with a workspace of fixed size (NVIDIA's manual).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    full_float32()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.set_flush_denormal(False)
