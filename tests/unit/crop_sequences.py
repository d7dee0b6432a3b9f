"""Synthetic face crops in shards, and a backbone so small that it is tuned in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import torch
from torch import Tensor, nn
from training_job import job

from affectflow import registry
from affectflow.backbones.spec import Backbone
from affectflow.backbones.weights import prepare
from affectflow.dataset.tasks import Task, write_tasks
from affectflow.shards.faces import CONTENT, face_rows
from affectflow.shards.files import create
from affectflow.training.fine_tune import fine_tune
from affectflow.video import jpeg

CPU = torch.device("cpu")
TASKS = [Task("colour", "ordinal", ("red", "blue")), Task("light", "nominal", ("dark", "bright"))]
QUICK: dict[str, Any] = {
    "fine_tune": "all", "head": "attention", "attention_units": 8, "fc_units": [6], "epochs": 3,
    "batch_size": 12, "learning_rate": 0.01, "backbone_learning_rate": 0.001, "dropout": 0.1,
}  # fmt: skip
SIZE = 16
EACH = 8
CLIPS = 6 * EACH
FRAMES = 4
OUTPUTS = ("history.csv", "predictions.csv", "model.safetensors", "model.json")


class Tiny(nn.Module):
    """Two convolutions under BatchNorm, whose embeddings tell nothing of red and blue.

    The last block looks at both alike to begin with: only a tuned one can tell them apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        with torch.no_grad():
            red, green, blue = torch.eye(3)
            self.stem[0].weight.copy_(torch.stack([red, blue, green, green])[:, :, None, None])
            self.stem[0].bias.fill_(0.5)
            self.last[0].weight[:, 1] = self.last[0].weight[:, 0]
            for norm in (self.stem[1], self.last[1]):
                norm.running_mean.fill_(0.1)
                norm.running_var.fill_(1.2)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.last(self.stem(x)).mean((2, 3)))


TINY = Backbone(6, SIZE, Tiny, lambda pixels: pixels / 255 - 0.5, None, last=("last.",))


@contextmanager
def registered() -> Iterator[None]:
    """Let there be a backbone called `tiny`."""
    original = registry.load

    def load(package: str, name: str) -> Any:
        found = (package, name) == ("backbones.models", "tiny")
        return SimpleNamespace(BACKBONE=TINY) if found else original(package, name)

    registry.load = load
    try:
        yield
    finally:
        registry.load = original


def crop(colour: int, light: int, rng: np.random.Generator) -> np.ndarray:
    """Return an image with a square that is red or blue, dark or bright."""
    image = rng.integers(0, 20, (SIZE, SIZE, 3)).astype(np.uint8)
    y, x = rng.integers(0, SIZE // 2, 2)
    image[y : y + SIZE // 2, x : x + SIZE // 2, 2 * colour] = 130 + 110 * light
    return image


def levels(clip: int) -> tuple[int, int]:
    """Return a clip's colour and light: each occurs as often in both shards."""
    return clip // 2 % 2, (clip + clip // 2) % 2


def table() -> pandas.DataFrame:
    """Return the clips: 6 subjects, of whom 3 are trained on; every level in every split."""
    rows = [
        {
            "clip_id": f"c{i:02}",
            "subject": f"s{i // EACH}",
            "split": ("train", "train", "train", "validation", "test", "test")[i // EACH],
            "path": f"c{i:02}.mp4",
            "shard": i % 2,
            "colour": levels(i)[0] if i != 5 else None,
            "light": levels(i)[1],
            "status": "ok",
        }
        for i in range(CLIPS)
    ]
    frame = pandas.DataFrame(rows)
    return frame.astype({"colour": "Int64", "light": "Int64"})


def write_study(folder: Path, garbage: bytes = b"", seed: int = 0) -> dict[str, Any]:
    """Write shards, weights, clips and tasks; return the arguments of `fine_tune` that name them.

    One frame in five has no face, clip c03 none at all. `garbage` lies where there is none. Another
    seed gives other crops, and the same of everything else.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    clips = table()
    masks = np.random.default_rng(0).random((CLIPS, FRAMES)) > 0.2
    masks[:, 0] = True
    masks[3] = False
    shards = [folder / f"shard-{i:03}.h5" for i in range(2)]
    for number, path in enumerate(shards):
        with create(path, CONTENT, {}) as file:
            # The second shard's clips are shorter: they are filled up.
            frames = FRAMES - number
            rows = face_rows(file, frames)
            for i in range(number, CLIPS, 2):
                mask = masks[i, :frames]
                crops = [jpeg.encode(crop(*levels(i), rng)) for _ in mask]
                given = np.frombuffer(garbage, np.uint8)
                rows.append(
                    {"clip_id": f"c{i:02}", "status": "ok", "detail": ""},
                    {
                        "mask": mask,
                        "crop": [c if m else given for c, m in zip(crops, mask, strict=True)],
                        **per_frame(frames),
                    },
                )
    clips.to_csv(folder / "clips.csv", index=False)
    write_tasks(folder / "tasks.json", TASKS)
    with registered():
        prepare("tiny", {"weights": "random"}, 1, folder / "tiny.safetensors")
    return {
        "faces": shards,
        "backbone": "tiny",
        "weights": folder / "tiny.safetensors",
        "tables": folder,
    }


def per_frame(frames: int) -> dict[str, np.ndarray]:
    """Return what else a shard of faces holds."""
    return {
        "frame_index": np.arange(frames),
        "time": np.arange(frames, dtype=np.float64),
        "box": np.zeros((frames, 4), np.float32),
        "landmarks": np.zeros((frames, 5, 2), np.float32),
        "score": np.ones(frames, np.float32),
        "face_count": np.ones(frames, np.int16),
    }


def tune(study: dict[str, Any], folder: Path, **keys: Any) -> dict[str, bytes]:
    """Run the job, and return the bytes of its outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    with registered():
        fine_tune(
            study["faces"],
            study["backbone"],
            study["weights"],
            job(folder, {**QUICK, **keys}, study["tables"], seed=3),
        )
    return {name: (folder / name).read_bytes() for name in OUTPUTS}
