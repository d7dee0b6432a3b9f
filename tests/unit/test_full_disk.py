"""A disk that fills up while a large file is written: a message, and nothing left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from safetensors.torch import save_file
from sklearn.linear_model import Ridge

from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic
from affectflow.shards.files import ROOM_BYTES

# Noise, which no file system makes smaller; much more than HDF5 keeps in memory.
WRITE = """
import sys
from argparse import ArgumentParser
from pathlib import Path
import numpy as np
from affectflow.commandline import run
from affectflow.shards.files import create

def main(arguments):
    row = np.random.default_rng(1).integers(0, 256, 2**20, np.uint8)
    with create(arguments.output, "faces", {}) as file:
        rows = file.create_dataset("row", (400, len(row)), np.uint8, chunks=(1, len(row)))
        for i in range(len(rows)):
            rows[i] = row
            print(i, flush=True)

parser = ArgumentParser()
parser.add_argument("--output", type=Path)
run(parser, main)
"""


def test_disk_fills_up_in_the_middle_of_a_file(
    tmp_path: Path, small_disk: Callable[[Path, int], None]
) -> None:
    small_disk(tmp_path, 3 * ROOM_BYTES)
    path = tmp_path / "shard-000.h5"
    command = [sys.executable, "-c", WRITE, "--output", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 50 < len(done.stdout.splitlines()) < 192, "MB were written"
    assert done.returncode == 1, done.stderr
    assert f"{path}: No space left on device" in done.stderr
    assert "snakemake plan says how much is needed" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


NOISE = np.random.default_rng(1).random((600, 600))


def draw(path: Path) -> None:
    figure, axes = plt.subplots()
    axes.scatter(NOISE[:100].ravel(), NOISE[100:200].ravel())
    figure.savefig(path, format="svg")
    plt.close(figure)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("x" * 3 * 2**20),
    "table": lambda path: pd.DataFrame(NOISE).to_csv(path),
    "weights": lambda path: save_file({"a": torch.from_numpy(NOISE)}, path),
    "checkpoint": lambda path: torch.save({"a": torch.from_numpy(NOISE)}, path),
    "array": lambda path: NOISE.tofile(path),
    "estimator": lambda path: skops.io.dump(Ridge().fit(NOISE, NOISE), path),
    "figure": draw,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_disk_is_full_whatever_is_written(
    tmp_path: Path, small_disk: Callable[[Path, int], None], kind: str
) -> None:
    small_disk(tmp_path, 2**20)
    path = tmp_path / "file"
    with pytest.raises(UserError, match=f"{path}: No space left on device"), atomic(path) as file:
        WRITERS[kind](file)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_of_ours_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic(tmp_path / "file"):
        raise KeyError("a column")
