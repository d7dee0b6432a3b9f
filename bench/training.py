"""Does training wait for its data? An epoch of experiment 6, by where its embeddings are.

    .venv/bin/python bench/training.py [--batches 20] [--device cuda]

Synthetic embeddings of DAiSEE's size (5,358 training clips x 100 frames x 512 numbers, float16, in
an HDF5 file) go through the training loop three ways: as batches of float32 tensors that lie ready
on the device, which is all arithmetic; by the feed that training uses, from memory; and by the
feed where the file is too large for memory, batch by batch from the file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas
import torch
from torch import Tensor

from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.devices import choose, reproducible
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.data import assemble
from affectflow.training.experiment import read_experiment
from affectflow.training.feed import Feed
from affectflow.training.fit import batch_loss

CLIPS, FRAMES, DIM = 5358, 100, 512
EXPERIMENT_6 = {"fc_units": [512, 128]}
ROUNDS = 3
Batch = tuple[Tensor, Tensor, Tensor]


def write(path: Path) -> pandas.DataFrame:
    """Write the embeddings as a shard has them; return the clip table."""
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        embedding = file.create_dataset(
            "embedding", (CLIPS, FRAMES, DIM), np.float16, chunks=(1, FRAMES, DIM)
        )
        for start in range(0, CLIPS, 256):
            part = embedding[start : start + 256]
            embedding[start : start + 256] = rng.standard_normal(part.shape, np.float32)
    names = [f"{clip:06d}" for clip in range(CLIPS)]
    table = {"clip_id": names, "subject": [name[:4] for name in names], "split": "train"}
    levels = {task.name: rng.integers(0, 4, CLIPS) for task in DAISEE_TASKS}
    return pandas.DataFrame(table | levels)


def seconds(feed: Callable[[Tensor], Batch], batches: list[Tensor], device: torch.device) -> float:
    """Return the time of a fresh model's first steps, its very first left out."""
    experiment = read_experiment(EXPERIMENT_6)
    torch.manual_seed(1)
    model = SequenceModel(experiment.head, experiment.settings, DIM, DAISEE_TASKS).to(device)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], fused=True)
    start = 0.0
    for number, clips in enumerate(batches):
        if number == 1:
            _wait(device)
            start = time.perf_counter()
        loss = batch_loss(model, feed(clips), None, experiment)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=20, help="of an epoch's 168")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = choose(arguments.device)
    size = read_experiment(EXPERIMENT_6).batch_size
    with tempfile.TemporaryDirectory() as top, reproducible(threads=torch.get_num_threads()):
        path = Path(top) / "embeddings.h5"
        table = write(path)
        mask, names = np.ones((CLIPS, FRAMES), bool), list(table["clip_id"])
        with h5py.File(path) as file:
            source = file["embedding"]
            order = torch.randperm(CLIPS, generator=torch.Generator().manual_seed(1))
            batches = list(order.split(size))[: arguments.batches + 1]
            feeds = {
                name: Feed(assemble(source, mask, names, table, DAISEE_TASKS, **how), device)
                for name, how in (("from memory", {}), ("from the file", {"memory": 0}))
            }
            ready = {int(clips[0]): feeds["from memory"](clips) for clips in batches}
            ways: dict[str, Callable[[Tensor], Batch]] = {
                "ready tensors": lambda clips: ready[int(clips[0])],
                **feeds,
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, feed in ways.items():
                    times[name].append(seconds(feed, batches, device))
    best = statistics.median(times["ready tensors"])
    print(f"{device}, {torch.get_num_threads()} threads, {arguments.batches} batches of {size}")
    for name, found in times.items():
        took = statistics.median(found)
        frames = arguments.batches * size * FRAMES / took
        print(f"{name:16}{took:7.2f} s{frames:12,.0f} frames/s{best / took:8.2f}")


if __name__ == "__main__":
    main()
