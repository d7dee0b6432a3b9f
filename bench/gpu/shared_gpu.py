"""Several processes that look at videos beside each other, on one device."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from load import Load

from affectflow.commandline import keep_freed_memory, limit_threads

START = 120.0
"""Seconds that a process may take until it is ready."""


def in_processes(material: Any, threads: int, processes: int, clips: int) -> dict[str, Any]:
    """Return the rate of all together, from when the first begins until the last has ended.

    Parameters
    ----------
    material : material.Material
    threads, processes, clips : int
        CPU threads of each process, how many there are, and clips that each looks at.
    """
    given = material.folder, material.device.type, material.small, material.given, material.cores
    context = get_context("spawn")
    ends, workers = [], []
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            workers.append(context.Process(target=_look, args=(theirs, given, threads, clips)))
            workers[-1].start()
            theirs.close()
            ends.append(ours)
        for end in ends:
            _receive(end, START)
        with Load(material.device) as load:
            for end in ends:
                end.send("begin")
            rows = [_receive(end, START) for end in ends]
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    row = {
        name: sum(row[name] for row in rows)
        for name in ("frames", "faces", "cores_busy", "gpu_mib")
        if rows[0].get(name) is not None
    }
    told = {"frames_per_s": row["frames"] / load.wall, "seconds": load.wall}
    return row | told | {"gpu_busy": load.row().get("gpu_busy")}


def _receive(end: Connection, seconds: float) -> Any:
    if not end.poll(seconds):
        raise TimeoutError(f"a process does not answer for {seconds:.0f} s")
    found = end.recv()
    if isinstance(found, str) and found != "ready":
        raise RuntimeError(found)
    return found


def _look(
    end: Connection, given: tuple[Path, str, bool, Path | None, int], threads: int, clips: int
) -> None:
    # Here, where this module is loaded by those two.
    from material import Material
    from rates import Way

    try:
        folder, device, *rest = given
        limit_threads(1)
        keep_freed_memory()
        way = Way(Material(folder, torch.device(device), *rest), threads)
        way.run(1)
        end.send("ready")
        end.recv()
        end.send(way.run(clips))
    except Exception as error:
        end.send(f"{type(error).__name__}: {error}")
