"""Who is busy while something is measured: the cores, the GPU, and its memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from threading import Thread
from typing import Any

import torch

EVERY_MS = 100
SAMPLES: list[tuple[float, float]] = []
"""When the GPU's driver was asked, and the share of the time before in which a kernel ran."""


def watch(device: torch.device) -> subprocess.Popen[str] | None:
    """Ask the driver again and again, as long as this process lives; None if it can't be asked.

    The samples are nvidia-smi's, which counts a GPU as used while any kernel runs. A slice of a
    GPU (MIG) has none.
    """
    if device.type != "cuda" or not shutil.which("nvidia-smi"):
        return None
    own = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    which = ["-i", f"GPU-{own}"] if own else []
    fields = "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"
    command = ["nvidia-smi", *fields, *which, "-lms", str(EVERY_MS)]
    asked = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def read() -> None:
        assert asked.stdout
        for line in asked.stdout:
            if line.strip().isdigit():
                SAMPLES.append((time.perf_counter(), int(line) / 100))

    Thread(target=read, daemon=True).start()
    return asked


class Load:
    """Measures from where it is entered until it is left.

    Attributes
    ----------
    wall : float
        Seconds that passed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.wall = device, 0.0

    def __enter__(self) -> Load:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.worked, self.began = _worked(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = time.perf_counter()
        self.wall = self.ended - self.began
        self.cores = (_worked() - self.worked) / self.wall
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self.device)

    def seconds(self) -> float:
        """Return the seconds so far."""
        return time.perf_counter() - self.began

    def row(self) -> dict[str, Any]:
        """Return the cores that were busy on average, the GPU's share, and its memory at most."""
        row: dict[str, Any] = {"seconds": self.wall, "cores_busy": self.cores}
        if self.device.type == "cuda":
            seen = [used for when, used in SAMPLES if self.began < when <= self.ended]
            row["gpu_busy"] = sum(seen) / len(seen) if seen else None
            row["gpu_mib"] = self.peak / 2**20
        return row


def _worked() -> float:
    """Return the seconds that cores worked for this process and the ones it started and awaited."""
    return sum(os.times()[:4])
