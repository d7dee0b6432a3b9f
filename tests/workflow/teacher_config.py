"""A teacher that is trained in a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def teacher(expressions: Path, **place: Any) -> dict[str, Any]:
    """Return `teacher` of a config, for data that `write_expressions` made."""
    fec, affectnet = expressions / "fec", expressions / "affectnet"
    return {
        "fec": {
            "train": str(fec / "faceexp-comparison-data-train-public.csv"),
            "test": str(fec / "faceexp-comparison-data-test-public.csv"),
            "images": str(fec / "images"),
        },
        "affectnet": {
            "train": str(affectnet / "train_set"),
            "validation": str(affectnet / "validation.csv"),
            "images": str(affectnet),
        },
        "base": "random",
        "training": {"epochs": 2, "batch_size": 12},
        "place": {"gpus": 0, "cpus": 1, "processes": 2, "memory_gb": 8, **place},
    }
