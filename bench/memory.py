"""Does an hour of video take more memory than a minute? Peak of each stage, each in a process.

    .venv/bin/python bench/memory.py --fps 5

One of the corpus's clips is repeated, without decoding it, until it lasts as long.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import torch
import yaml
from clips import CHECKOUT, choose_clips
from speed import BACKBONE

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import open_embedder
from affectflow.backbones.weights import prepare
from affectflow.commandline import keep_freed_memory, limit_threads
from affectflow.faces.detect import detect_in_videos, detect_shard
from affectflow.joblog import peak_mib
from affectflow.video.extract import extract_shard

CPU = torch.device("cpu")
MINUTES = 1, 60


def repeat(clip: Path, seconds: float, target: Path) -> None:
    """Write a video that shows the clip again and again."""
    with av.open(str(target), "w") as out:
        shift, stream = 0, None
        while True:
            with av.open(str(clip)) as source:
                shown = source.streams.video[0]
                stream = stream or out.add_stream_from_template(shown)
                end = shift
                for packet in source.demux(shown):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.stream = stream
                    out.mux(packet)
                if end * shown.time_base >= seconds:
                    return
                shift = end


def extract(video: Path, fps: float, target: Path) -> None:
    """Run the stage."""
    extract_shard([("clip", video.name)], video.parent, {"per_clip": None, "fps": fps}, target)


def detect(frames: Path, settings: dict[str, Any], target: Path) -> None:
    """Run the stage."""
    detect_shard(frames, settings, CPU, target)


def detect_directly(video: Path, fps: float, settings: dict[str, Any], target: Path) -> None:
    """Run the stage without frames on disk."""
    frames = {"per_clip": None, "fps": fps}
    detect_in_videos([("clip", video.name)], video.parent, frames, settings, CPU, target)


def embed(faces: Path, weights: Path, target: Path) -> None:
    """Run the stage."""
    embed_shards([faces], open_embedder(BACKBONE, weights, CPU), target)


def work(stage: Callable[..., None], arguments: tuple[Any, ...]) -> float:
    """Run a stage; return the process's peak memory in MB."""
    limit_threads(1)
    keep_freed_memory()
    stage(*arguments)
    return peak_mib()


def peak(stage: Callable[..., None], *arguments: Any) -> float:
    """Return the peak of a stage in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, stage, arguments).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fps", type=float, default=5, help="frames per second that are looked at")
    given = parser.parse_args()
    settings = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())["faces"]
    stages = "extract_frames", "detect_faces", "embed", "directly detected"
    peaks: dict[str, list[float]] = {stage: [] for stage in stages}
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        weights, clip = top / "weights.safetensors", next(reversed(choose_clips(24, 2)))
        prepare(BACKBONE, {"weights": "random"}, 1, weights)
        for minutes in MINUTES:
            video, files = top / f"{minutes}.mkv", [top / f"{minutes}-{i}.h5" for i in range(4)]
            repeat(clip, 60 * minutes, video)
            own = (
                peak(extract, video, given.fps, files[0]),
                peak(detect, files[0], settings, files[1]),
                peak(embed, files[1], weights, files[2]),
                peak(detect_directly, video, given.fps, settings, files[3]),
            )
            for stage, megabytes in zip(stages, own, strict=True):
                peaks[stage].append(megabytes)
    print(f"{given.fps:g} frames per second, MB:   1 minute  60 minutes  ratio")
    for stage, (short, long) in peaks.items():
        print(f"{stage:24} {short:12.0f} {long:11.0f} {long / short:6.2f}")


if __name__ == "__main__":
    main()
