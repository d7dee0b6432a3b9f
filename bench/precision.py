"""What does each precision save, and how far are its embeddings from float32's?

    .venv/bin/python bench/precision.py --clips 12 --repeats 3

One core, random weights, each backbone in each precision that this CPU is made for, in turns on the
same faces. Random weights give all faces nearly the same embedding: the cosine with the mean of all
taken away tells them apart. `bench/trained.py` has weights that learnt something.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
import yaml
from clips import CHECKOUT, as_shard, choose_clips

from affectflow import registry
from affectflow.backbones.embedder import Embedder, stack
from affectflow.backbones.precision import able, cosines
from affectflow.backbones.weights import backbone
from affectflow.commandline import keep_freed_memory, limit_threads
from affectflow.faces.detect import detect_in_videos
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete
from affectflow.video import jpeg

CPU = torch.device("cpu")


def faces(frames: int, clips: int) -> list[np.ndarray]:
    """Return the crops of the corpus's clips."""
    config = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())
    names, root = as_shard(choose_clips(frames, clips))
    sampling = config["frames"] | {"per_clip": frames, "on_disk": False}
    with tempfile.TemporaryDirectory() as top:
        shard = Path(top) / "faces.h5"
        detect_in_videos(names, root, sampling, config["faces"], CPU, shard)
        with open_complete(shard, FACES) as file:
            return [jpeg.decode(crop) for crop in file["crop"][:][file["mask"][:]]]


def measure(name: str, crops: Sequence[np.ndarray], repeats: int) -> list[dict[str, Any]]:
    """Return a row for each precision of a backbone."""
    torch.manual_seed(1)
    spec = backbone(name)
    network = spec.build().eval().requires_grad_(False)
    embedders = {each: Embedder(spec, network, CPU, each) for each in able(CPU)}
    ready = [*stack(crops, spec.size)]
    seconds: dict[str, list[float]] = {each: [] for each in embedders}
    found = {each: embedder.embed(ready) for each, embedder in embedders.items()}
    for _ in range(repeats):
        for each, embedder in embedders.items():
            began = time.perf_counter()
            embedder.embed(ready)
            seconds[each].append(time.perf_counter() - began)
    exact = found["fp32"]
    rows = []
    for each in embedders:
        times = np.array(seconds["fp32"]) / seconds[each]
        rows.append(
            {
                "network": name,
                "precision": each,
                "faces": len(ready),
                "ms per face": round(float(np.median(seconds[each])) / len(ready) * 1000, 1),
                "times as fast": f"{np.median(times):.1f} ({times.min():.1f}-{times.max():.1f})",
                "cosine": round(float(np.median(cosines(found[each], exact))), 4),
                "centred": round(
                    float(np.median(cosines(found[each] - exact.mean(0), exact - exact.mean(0)))), 3
                ),
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=4, help="at most")
    parser.add_argument("--frames", type=int, default=20, help="per clip")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    limit_threads(1)
    keep_freed_memory()
    crops = faces(given.frames, given.clips)
    rows = [
        row
        for name in registry.names("backbones.models")
        for row in measure(name, crops, given.repeats)
    ]
    print(pandas.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
