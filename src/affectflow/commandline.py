"""What every script does around its one library call: arguments, a log, errors for people."""

from __future__ import annotations

import ctypes
import json
import logging
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

import yaml

from affectflow.errors import DamagedFileError, UserError
from affectflow.joblog import done_line, peak_mib

ERROR = "error: "

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h: see mallopt(3)."""

KEPT = 256 * 2**20
"""Bytes that are kept at most, and from which on a piece of memory is the system's own."""


def settings(text: str) -> Any:
    """Parse an argument that is JSON, or YAML such as ``{per_clip: 100}`` by hand."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return yaml.safe_load(text)


def run(parser: ArgumentParser, main: Callable[[Namespace], None]) -> None:
    """Parse the arguments and call `main`; log progress, time and peak memory to stderr.

    A `UserError` becomes a message and exit code 1, without a traceback. Anything else is a
    defect of ours and shows its traceback.
    """
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    start = time.monotonic()
    try:
        main(arguments)
    except DamagedFileError as damage:
        sys.exit(f"{ERROR}{damage.move_aside()}")
    except UserError as error:
        sys.exit(f"{ERROR}{error}")
    except RuntimeError as error:
        if not _gpu_is_full(error):
            raise
        full = UserError(
            f"a GPU's memory is full: {str(error).splitlines()[0]}",
            "Let no other job use it, or ask for one with more: see gpu_model in the profile.",
        )
        sys.exit(f"{ERROR}{full}")
    logging.info(done_line(time.monotonic() - start, peak_mib(), _peak_gpu_mib()))


def _gpu_is_full(error: RuntimeError) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    # Other jobs may leave no room for CUDA itself; older torch raises a plain RuntimeError then.
    if isinstance(error, getattr(torch, "AcceleratorError", ())):
        return "out of memory" in str(error)
    return isinstance(error, torch.OutOfMemoryError)


def _peak_gpu_mib() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return torch.cuda.max_memory_allocated() / 2**20


def limit_threads(threads: int) -> None:
    """Keep torch and OpenCV to the cores that the job was given."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def keep_freed_memory() -> None:
    """Have memory that a batch freed wait for the next one, where the C library can (glibc).

    Given back to the system, it comes again as new pages, which are cleared first: a fifth of the
    time in which MTCNN looks for small faces.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune:
        tune(M_TRIM_THRESHOLD, KEPT)
        tune(M_MMAP_THRESHOLD, KEPT)
