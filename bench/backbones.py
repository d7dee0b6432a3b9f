"""What do several backbones cost beside the one decoding and detection that they share?

    .venv/bin/python bench/backbones.py --clips 2 --frames 100

The jobs' own functions on the same clips, one core: videos to faces once, faces to embeddings for
each backbone (random weights); against the same with nothing but the networks' forward passes, on
crops that lie ready in memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
import yaml
from clips import CHECKOUT, as_shard, choose_clips

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import open_embedder, run, stack
from affectflow.backbones.weights import prepare
from affectflow.commandline import limit_threads
from affectflow.faces.detect import detect_shard
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete
from affectflow.video import jpeg
from affectflow.video.extract import extract_shard

BACKBONES = "inception_resnet_v1", "fecnet", "resnet18"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--precision", default="fp32")
    given = parser.parse_args()
    limit_threads(1)
    config = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())
    sampling = {**config["frames"], "per_clip": given.frames}
    clips = choose_clips(given.frames, given.clips, "Train")
    with tempfile.TemporaryDirectory() as top:
        folder, cpu = Path(top), torch.device("cpu")
        frames, faces = folder / "frames.h5", folder / "faces.h5"
        videos, root = as_shard(clips)
        began = time.perf_counter()
        extract_shard(videos, root, sampling, frames)
        detect_shard(frames, config["faces"], cpu, faces)
        shared = time.perf_counter() - began
        print(f"decoding and detection: {shared:.1f} s")
        jobs = forward = 0.0
        for name in BACKBONES:
            weights = folder / f"{name}.safetensors"
            prepare(name, {"weights": "random"}, 1, weights)
            embedder = open_embedder(name, weights, cpu, given.precision)
            began = time.perf_counter()
            embed_shards([faces], embedder, folder / f"{name}.h5")
            own = time.perf_counter() - began
            with open_complete(faces, FACES) as file:
                crops = [jpeg.decode(crop) for crop in file["crop"][:][file["mask"][:]]]
            ready = torch.from_numpy(stack(crops, embedder.backbone.size))
            began = time.perf_counter()
            with torch.inference_mode():
                for batch in ready.split(embedder.batch):
                    run(embedder.backbone, embedder.network, batch, embedder.precision)
            alone = time.perf_counter() - began
            print(f"{name}: {own:.1f} s, its forward passes alone {alone:.1f} s")
            jobs, forward = jobs + own, forward + alone
    print(f"ratio {(shared + jobs) / (shared + forward):.3f}")


if __name__ == "__main__":
    main()
