"""A disk that fills up while a large file is written: a message, and nothing left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
