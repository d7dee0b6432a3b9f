"""Digests of data and settings, and the versions of what produced a file."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch",
    "torchvision",
    "facenet-pytorch",
    "numba",
    "opencv-python-headless",
    "av",
    "h5py",
)


def sha256(path: Path | str) -> str:
    """Return a file's SHA-256 as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(values: Iterable[Any]) -> str:
    """Return a digest (16 hexadecimal digits) of values that JSON can hold, in their order."""
    text = json.dumps(list(values), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide what a stage computes."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
