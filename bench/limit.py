"""How far is each stage from what the machine can do? Operations and bytes over its ceilings.

    .venv/bin/python bench/limit.py --within Train --clips 4 --frames 300 --precision int8

One core, as a job has. The ceilings are measured here: the most operations per second of some large
convolutions, and the bytes per second of a copy. Operations are those of the networks' products, as
torch counts them on these frames; bytes are those of pixels and files, each read and written once.
What a codec has to do is not in either, so decoding stands against libav alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas
import torch
import yaml
from clips import CHECKOUT, as_shard, choose_clips
from speed import BACKBONE, describe
from torch import Tensor, nn
from torch.ao.nn import quantized
from torch.utils.flop_counter import FlopCounterMode

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import Embedder, open_embedder, run, stack
from affectflow.backbones.precision import choose, in_dtype
from affectflow.backbones.weights import prepare
from affectflow.commandline import keep_freed_memory, limit_threads
from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.faces.between import looks
from affectflow.faces.clip import ClipFaces, build_detectors, find_faces, iter_crops
from affectflow.faces.detect import detect_in_videos
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.experiment import read_experiment
from affectflow.training.fit import batch_loss
from affectflow.video import jpeg
from affectflow.video.direct import iter_clips

CPU = torch.device("cpu")
SHAPES = (64, 160, 28), (256, 256, 14), (512, 512, 7)
"""Channels in and out, and side, of the convolutions that show the ceiling: 3 x 3, 16 images."""


def seconds(work: Callable[[], Any], times: int = 1) -> float:
    """Return the least time of some calls, after one that nobody times if there are several."""
    if times > 1:
        work()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def operations(work: Callable[[], Any]) -> int:
    """Return the operations of the products in it, a multiplication and an addition being two."""
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return counter.get_total_flops()


@torch.inference_mode()
def ceiling(precision: str) -> float:
    """Return the most operations per second, a multiplication and an addition being two."""
    most = 0.0
    for channels, out, side in SHAPES:
        batch = torch.randn(16, channels, side, side).contiguous(memory_format=torch.channels_last)
        own = nn.Conv2d(channels, out, 3, padding=1, bias=False).eval()
        if precision == "int8":
            torch.backends.quantized.engine = "onednn"
            weight = torch.quantize_per_tensor(own.weight, 0.001, 0, torch.qint8)
            convolve = quantized.Conv2d(channels, out, 3, padding=1, bias=False)
            convolve.set_weight_bias(weight, None)
            batch = torch.quantize_per_tensor(batch, 0.05, 64, torch.quint8)
        else:
            batch = in_dtype(precision, batch)
            convolve = own.to(batch.dtype, memory_format=torch.channels_last)
        products = 2 * 16 * side * side * channels * out * 9
        most = max(most, products / seconds(partial(convolve, batch), 20))
    return most


def bandwidth() -> float:
    """Return the bytes per second that are read and written in copying more than a cache holds."""
    source = np.ones(2**28, np.uint8)
    target = np.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: np.copyto(target, source), 5)


def codec(videos: Sequence[Path]) -> None:
    """Decode videos by libav alone, in one thread."""
    for video in videos:
        with av.open(str(video)) as file:
            file.streams.video[0].thread_count = 1
            deque(file.decode(video=0), maxlen=0)


def of_training(per_second: float, frames: int = 100, dim: int = 512) -> dict[str, Any]:
    """Return a row of a training step: the dissertation's LSTM on clips of some frames."""
    experiment = read_experiment({"fc_units": [512, 128]})
    model = SequenceModel(experiment.head, experiment.settings, dim, DAISEE_TASKS)
    batch = (
        torch.randn(32, frames, dim),
        torch.ones(32, frames, dtype=torch.bool),
        torch.zeros(32, len(DAISEE_TASKS), dtype=torch.int64),
    )

    def step() -> Tensor:
        loss = batch_loss(model, batch, None, experiment)
        loss.backward()
        return loss

    # The LSTM's weights meet each frame, forwards and twice backwards; later layers a clip's last.
    lstm = (own.numel() for name, own in model.head.named_parameters() if "lstm" in name)
    count = 32 * frames
    work = 6 * sum(lstm) * count
    return row("train, LSTM", count, work, batch[0].nbytes, work / per_second, seconds(step, 3))


def row(
    stage: str, count: int, operations: float, moved: float, limit: float, took: float
) -> dict[str, Any]:
    """Return a stage's work, bytes moved, limit and time (s), each per frame or face."""
    each = {"G operations": operations / 1e9, "MB": moved / 1e6}
    each |= {"limit ms": limit * 1e3, "ms": took * 1e3}
    told = {name: value / count for name, value in each.items()}
    return {"stage": stage} | told | {"of the limit": limit / took}


def of_faces(
    clips: dict[Path, np.ndarray],
    settings: dict[str, Any],
    per_second: float,
    copied: float,
    faces: Path,
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Return rows of what detect_faces does, and its crops; write the shard of faces."""
    videos, count = list(clips), sum(map(len, clips.values()))
    names, root = as_shard(videos)
    detectors = build_detectors(settings["faces"], "cpu")
    options = settings["faces"]
    cut = options["crop_size"], options["margin"], options["align"]

    def decode() -> None:
        deque(iter_clips(names, root, settings["frames"]), maxlen=0)

    def look() -> list[ClipFaces]:
        return [
            find_faces(clip.images, detectors, looks(options["every"], clip.time)) for clip in read
        ]

    def crops() -> list[np.ndarray]:
        pairs = zip(read, found, strict=True)
        each = (crop for clip, own in pairs for crop in iter_crops(clip.images, own, *cut))
        return [jpeg.encode(crop) for crop in each if crop is not None]

    decode_time, codec_time = seconds(decode, 2), seconds(partial(codec, videos), 2)
    read = [*iter_clips(names, root, settings["frames"])]
    found = look()
    files = crops()
    look_time, crop_time = seconds(look), seconds(crops)
    whole = seconds(partial(detect_in_videos, names, root, *settings.values(), CPU, faces))

    work = operations(look)
    pixels = sum(image.size for clip in read for image in clip.images)
    moved = pixels + sum(video.stat().st_size for video in videos)
    boxes = sum(float(np.ptp(own.box.reshape(-1, 2, 2), axis=1).prod(1).sum()) for own in found)
    cropped = 3 * boxes + len(files) * 3 * cut[0] ** 2 + sum(map(len, files))
    limits = codec_time, work / per_second, cropped / copied
    return [
        row("decode", count, 0, moved, limits[0], decode_time),
        row("look for faces", count, work, pixels, limits[1], look_time),
        row("cut and code faces", len(files), 0, cropped, limits[2], crop_time),
        row("detect_faces, all", count, work, moved, sum(limits), whole),
    ], files


def of_embeddings(
    precision: str, per_second: float, faces: Path, files: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """Return rows of what embed does with a shard of faces, whose crops are given."""
    weights, target = faces.with_suffix(".safetensors"), faces.with_suffix(".embeddings")
    prepare(BACKBONE, {"weights": "random"}, 1, weights)
    embedder = open_embedder(BACKBONE, weights, CPU, precision)
    ready = torch.from_numpy(stack([jpeg.decode(file) for file in files], embedder.backbone.size))
    network = seconds(partial(forward, embedder, ready), 2)
    whole = seconds(partial(embed_shards, [faces], embedder, target), 2)
    count, exact = len(files), embedder.exact or embedder
    work = operations(partial(forward, exact, ready[:1])) * count
    return [
        row("network", count, work, ready.nbytes, work / per_second, network),
        row("embed, all", count, work, sum(map(len, files)), work / per_second, whole),
    ]


@torch.inference_mode()
def forward(embedder: Embedder, ready: Tensor) -> None:
    """Run the network and nothing else."""
    for batch in ready.split(embedder.batch):
        run(embedder.backbone, embedder.network, batch, embedder.precision)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=4, help="at most")
    parser.add_argument("--frames", type=int, default=100, help="per clip")
    parser.add_argument("--within", default="", help="a folder of DataSet/: those clips only")
    parser.add_argument("--precision", default="auto", help="of the backbone")
    given = parser.parse_args()
    limit_threads(1)
    keep_freed_memory()
    config = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())
    sampling = {**config["frames"], "per_clip": given.frames, "on_disk": False}
    settings = {"frames": sampling, "faces": config["faces"]}
    clips = choose_clips(given.frames, given.clips, given.within)
    print(describe("cpu"))
    with tempfile.TemporaryDirectory() as top:
        precision = choose(given.precision, CPU)
        copied, rates = bandwidth(), {kind: ceiling(kind) for kind in {"fp32", precision}}
        told = ", ".join(f"{rate / 1e9:.0f} G/s in {kind}" for kind, rate in rates.items())
        print(f"ceilings of a core: {told}; {copied / 1e9:.1f} GB/s")
        faces = Path(top) / "faces.h5"
        rows, files = of_faces(clips, settings, rates["fp32"], copied, faces)
        rows += of_embeddings(precision, rates[precision], faces, files)
        table = pandas.DataFrame([*rows, of_training(rates["fp32"])])
    print(f"{len(clips)} clips, {given.frames} frames each; {precision}; per frame, or face:")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
