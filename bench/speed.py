"""How much faster than the stock pipeline, with the same answers? On the same clips, in one run.

    make bench
    .venv/bin/python bench/speed.py --frames 300 --clips 12 --repeats 3 --device cuda

Both pipelines take turns over the same frames of the same clips: those of ../shared/corpus where
that folder is, else the demo's. The stock one (`stock.py`) is one process with torch's own threads,
as people run it; affectflow's jobs take one core each, so as many as there are cores run side by
side. What counts is the time for all clips. Ratios are of one run; no test asserts them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas
import torch
import yaml
from clips import CHECKOUT, choose_clips
from looked import STAGES, Looked
from ours import Ours, read
from parity import compare
from stock import Stock

from affectflow.backbones.weights import prepare
from affectflow.commandline import keep_freed_memory, limit_threads
from affectflow.joblog import peak_mib
from affectflow.provenance.content import versions

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOUND = "decode and detect"
SHARD = 2
"""Clips that one of affectflow's jobs decodes and detects."""

BACKBONE = "inception_resnet_v1"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
worker: dict[str, Any] = {}

Outcome = tuple[dict[str, float], float]
"""Seconds by stage, and the process's peak memory in MB."""


def begin_stock(weights: Path, least: int, device: str) -> None:
    """Load the stock pipeline into a process of its own, and warm it up."""
    worker["stock"] = Stock(weights, least, device)


def begin_ours(weights: Path, settings: dict[str, Any], precision: str, device: str) -> None:
    """Load affectflow into one of its processes: one core, as its jobs have, or all and a GPU."""
    limit_threads(1)
    keep_freed_memory()
    threads = 1 if device == "cpu" else CORES
    worker["ours"] = Ours(weights, settings, BACKBONE, device, precision, threads)


def stock(video: Path, chosen: np.ndarray) -> tuple[Looked, Outcome]:
    """Run the stock pipeline on a clip."""
    found, seconds = worker["stock"].look(video, chosen)
    return found, (seconds, peak_mib())


def find(videos: Sequence[Path], faces: Path) -> tuple[int, Outcome]:
    """Run affectflow up to the faces of a shard of clips; return how many there are."""
    seconds, count = worker["ours"].find(videos, faces)
    return count, (seconds, peak_mib())


def embed(faces: Sequence[Path], embeddings: Path) -> Outcome:
    """Let affectflow embed shards of faces."""
    return worker["ours"].embed(faces, embeddings), peak_mib()


@contextmanager
def processes(count: int, begin: Any, *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Start processes that have loaded their networks before any clock runs."""
    with ProcessPoolExecutor(count, get_context("spawn"), begin, arguments) as pool:
        yield pool


def measure(
    clips: dict[Path, np.ndarray],
    repeats: int,
    device: str,
    of_stock: tuple[Any, ...],
    of_ours: tuple[Any, ...],
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Return times (one row per repetition, pipeline and stage) and parity (one row per clip)."""
    jobs = CORES if device == "cpu" else 1
    times: list[dict[str, Any]] = []
    parity: list[dict[str, Any]] = []
    frames = sum(map(len, clips.values()))
    first = next(iter(clips))
    with (
        processes(1, begin_stock, *of_stock, device) as one,
        processes(jobs, begin_ours, *of_ours, device) as many,
    ):
        one.submit(stock, first, clips[first][:8]).result()
        ours(many, [first] * SHARD * jobs, jobs)
        for repeat in range(repeats):
            began = time.perf_counter()
            theirs = [one.submit(stock, *clip).result() for clip in clips.items()]
            between = time.perf_counter()
            seen, outcomes, seconds = ours(many, list(clips), jobs)
            spent = [outcome for _, outcome in theirs]
            times += rows(repeat, "stock", spent, frames, between - began, 1)
            times += rows(repeat, "affectflow", outcomes, frames, seconds, jobs)
            print(
                f"{repeat + 1}/{repeats}: {(between - began) / seconds:.1f} times as fast",
                flush=True,
            )
    for video, (there, _) in zip(clips, theirs, strict=True):
        parity.append({"clip": video.stem, **compare(there, seen[video.stem])})
    return pandas.DataFrame(times), pandas.DataFrame(parity)


def ours(
    many: ProcessPoolExecutor, videos: Sequence[Path], jobs: int
) -> tuple[dict[str, Looked], list[Outcome], float]:
    """Run affectflow; return what was seen of each clip, what each job spent, and seconds.

    A job embeds several shards (`shards_per_embedding`). They are dealt out so that jobs have about
    as many faces each: a real study's shards, of a hundred clips, are alike.
    """
    with tempfile.TemporaryDirectory() as top:
        began = time.perf_counter()
        shards = [videos[start : start + SHARD] for start in range(0, len(videos), SHARD)]
        faces = [Path(top) / f"faces{number}.h5" for number in range(len(shards))]
        found = list(many.map(find, shards, faces))
        dealt: list[list[Path]] = [[] for _ in range(min(jobs, len(shards)))]
        counts = [0] * len(dealt)
        for path, (count, _) in sorted(zip(faces, found, strict=True), key=lambda own: -own[1][0]):
            lightest = counts.index(min(counts))
            dealt[lightest].append(path)
            counts[lightest] += count
        embeddings = [Path(top) / f"embeddings{number}.h5" for number in range(len(dealt))]
        embedded = list(many.map(embed, dealt, embeddings))
        seconds = time.perf_counter() - began
        seen = dict(chain.from_iterable(map(read, dealt, embeddings)))
    return seen, [outcome for _, outcome in found] + embedded, seconds


def rows(
    repeat: int,
    pipeline: str,
    outcomes: list[Outcome],
    frames: int,
    whole: float,
    jobs: int,
) -> list[dict[str, Any]]:
    """Return a row per stage, one for the first two, and one for all of them."""
    spent = {
        stage: sum(seconds.get(stage, 0) for seconds, _ in outcomes) / jobs for stage in STAGES
    }
    spent[FOUND] = spent["decode"] + spent["detect"]
    own = {"repeat": repeat, "pipeline": pipeline}
    own["peak_mb"] = max(peak for _, peak in outcomes)
    return [
        own | {"stage": stage, "frames_per_s": frames / seconds}
        for stage, seconds in {**spent, "all": whole}.items()
        if seconds
    ]


def ratios(times: pandas.DataFrame) -> pandas.DataFrame:
    """Return a row per stage: both rates (medians), and the ratio's median, least and most."""
    rates = times.pivot_table(index=["stage", "repeat"], columns="pipeline", values="frames_per_s")
    ratio = rates["affectflow"] / rates["stock"]
    found = []
    # Right from the videos, our detection includes decoding: it is like stock's two together.
    apart = ("decode", "detect") if ratio["decode"].notna().any() else ()
    for stage in (*apart, FOUND, "embed", "all"):
        own = ratio[stage]
        found.append(
            {
                "stage": stage,
                "stock": statistics.median(rates["stock"][stage]),
                "affectflow": statistics.median(rates["affectflow"][stage]),
                "ratio": statistics.median(own),
                "least": own.min(),
                "most": own.max(),
            }
        )
    return pandas.DataFrame(found)


def describe(device: str) -> str:
    """Return the machine in a line or two."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
        flags = next((line for line in lines if line.startswith("flags")), "")
        model += ", bf16 in hardware" if "avx512_bf16" in flags or "amx_bf16" in flags else ""
    gpu = f"; {torch.cuda.get_device_name()}" if device == "cuda" else "; no GPU used"
    with_versions = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"{CORES} cores of {model}{gpu}\n{with_versions}"


def draw(table: pandas.DataFrame, caption: str, path: Path) -> None:
    """Draw the ratios with their spread."""
    figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
    place = np.arange(len(table))[::-1]
    spread = np.abs(table[["least", "most"]].to_numpy() - table[["ratio"]].to_numpy()).T
    axes.barh(place, table["ratio"], xerr=spread, height=0.6, color="#4269d0", capsize=3)
    axes.axvline(1, color="0.4", linewidth=1)
    axes.set_yticks(place, table["stage"])
    for at, row in zip(place, table.itertuples(), strict=True):
        axes.text(row.most, at, f"  {row.ratio:.1f}x", va="center")
    axes.set_xlabel("times as fast as the stock pipeline")
    axes.set_title(textwrap.fill(caption, 90), fontsize=8, loc="left")
    axes.margins(x=0.12)
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write CSV and figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100, help="per clip")
    parser.add_argument("--clips", type=int, default=4, help="at most")
    parser.add_argument("--direct", action="store_true", help="frames.on_disk: false")
    parser.add_argument("--within", default="", help="a folder of DataSet/: those clips only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stock-min-size", type=int, default=20, help="MTCNN's min_face_size")
    parser.add_argument("--config", default=str(CHECKOUT / "config" / "config.yaml"))
    parser.add_argument("--faces", type=yaml.safe_load, default={}, help="keys of faces, as YAML")
    parser.add_argument(
        "--weights", default="random", help="of InceptionResnetV1: random or a path"
    )
    parser.add_argument("--precision", default="auto", help="of affectflow's backbone")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build" / "bench")
    given = parser.parse_args(arguments)
    config = yaml.safe_load(Path(given.config).read_text())
    settings = {
        "frames": {**config["frames"], "per_clip": given.frames, "on_disk": not given.direct},
        "faces": {**config["faces"], **given.faces},
    }
    clips = choose_clips(given.frames, given.clips, given.within)
    with tempfile.TemporaryDirectory() as top:
        weights = Path(top) / "weights.safetensors"
        prepare(BACKBONE, {"weights": given.weights}, 1, weights)
        of_stock = weights, given.stock_min_size
        of_ours = weights, settings, given.precision
        times, parity = measure(clips, given.repeats, given.device, of_stock, of_ours)
    table, machine = ratios(times), describe(given.device)
    given.output.mkdir(parents=True, exist_ok=True)
    times.to_csv(given.output / "times.csv", index=False)
    table.to_csv(given.output / "speed.csv", index=False)
    parity.to_csv(given.output / "parity.csv", index=False)
    (given.output / "machine.txt").write_text(f"{machine}\n")
    how = f"{len(clips)} clips, {given.frames} frames each, {given.repeats} repetitions"
    caption = f"{how}, precision {given.precision}{', direct' * given.direct}; {machine}"
    draw(table, caption, given.output / "speed.svg")
    print(f"\n{machine}\n\nframes/s, {len(clips)} clips of up to {given.frames} frames:")
    print(table.round(2).to_string(index=False))
    peaks = times.groupby("pipeline")["peak_mb"].max()
    told = ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items())
    print(f"\npeak memory of a process: {told}")
    print(f"\nparity with stock (weights: {given.weights}):")
    print(parity.round(4).to_string(index=False))
    print(f"\nin {given.output}: speed.csv, speed.svg, parity.csv, times.csv, machine.txt")


if __name__ == "__main__":
    main()
