"""Faces without a file, a network without depth, and a training run of the teacher on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from affectflow.backbones.spec import Backbone
from affectflow.teacher.distributed import Group
from affectflow.teacher.files import write_teacher
from affectflow.teacher.settings import TeacherSettings, read_settings
from affectflow.teacher.training import TeacherData, Trained, train_teacher

SIZE = 8


class Face(NamedTuple):
    path: Path
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class Triplets:
    faces: list[Face]
    index: np.ndarray
    odd: np.ndarray
    kind: np.ndarray


@dataclass(frozen=True)
class Expressions:
    faces: list[Face]
    expression: np.ndarray


class Tiny(nn.Module):
    """A base with BatchNorm, and what comes after it with another."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6), nn.ReLU()
        )
        self.norm = nn.BatchNorm2d(6)
        self.embed = nn.Conv2d(6, 10, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.relu(self.embed(self.norm(self.base(pixels)))).mean(dim=(2, 3))


TINY = Backbone(
    dim=10,
    size=SIZE,
    build=Tiny,
    preprocess=lambda pixels: (pixels - 127.5) / 128,
    pretrained=None,
    ignored=("heads.",),
)


def read(face: Face, size: int) -> np.ndarray:
    """Return an image whose look is its expression's (the name's first digit), with noise."""
    expression, number = (int(part) for part in face.path.stem.split("_"))
    rng = np.random.default_rng([expression, number])
    image = np.full((size, size, 3), 60.0)
    image[expression % 4 * 2 : expression % 4 * 2 + 2, :, expression // 4] += 120
    return (image + rng.normal(0, 15, image.shape)).clip(0, 255).astype(np.uint8)


def face(expression: int, number: int) -> Face:
    return Face(Path(f"/somewhere/{expression}_{number}.png"), None)


def triplets(n: int, seed: int = 0) -> Triplets:
    """Two faces of one expression and one of another, the odd one anywhere."""
    rng = np.random.default_rng(seed)
    index = np.arange(3 * n).reshape(n, 3)
    odd = rng.integers(0, 3, n)
    faces: list[Face] = []
    for row, place in zip(index, odd, strict=True):
        same, other = rng.choice(8, 2, replace=False)
        faces += [face(int(other if k == place else same), int(row[k])) for k in range(3)]
    kind = np.array(["one_class", "two_class", "three_class"])[np.arange(n) % 3]
    return Triplets(faces, index, odd, kind)


def expressions(n: int, seed: int = 0) -> Expressions:
    rng = np.random.default_rng([seed, 1])
    found = np.where(rng.random(n) < 0.4, 1, rng.integers(0, 8, n))
    faces = [face(int(each), 10_000 + seed * 1000 + at) for at, each in enumerate(found)]
    return Expressions(faces, found)


SIZES = (21, 30), (12, 24), (9, 16)
"""Triplets and images to train on, to choose the epoch by, and to test."""


def faces() -> TeacherData:
    parts = [(triplets(n, seed), expressions(m, seed)) for seed, (n, m) in enumerate(SIZES)]
    return TeacherData(*(each for part in parts for each in part))


DATA = faces()
QUICK = {"epochs": 4, "batch_size": 6, "learning_rate": 0.02, "flip": True}


def settings(**keys: object) -> TeacherSettings:
    return read_settings(QUICK | keys)


def train(
    folder: Path, data: TeacherData = DATA, group: Group | None = None, **keys: object
) -> Trained:
    """Train on the tiny network; the checkpoint stays in the folder."""
    given = settings(**keys)
    return train_teacher(data, given, folder / "checkpoint.pt", read=read, group=group, spec=TINY)


def train_and_write(folder: Path, **keys: object) -> dict[str, bytes]:
    """Train, write the files, and return their bytes."""
    write_teacher(folder / "out", train(folder, **keys), settings(**keys))
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def without(data: TeacherData, part: str) -> TeacherData:
    """Return the data with one of its parts empty."""
    own = triplets(0) if "triplets" in part else expressions(0)
    return replace(data, **{part: own})
