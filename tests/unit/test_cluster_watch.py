"""What is told of a run, from a record, logs and a queue that are made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.cluster import controller
from affectflow.cluster.controller import RECORD, PlannedJob
from affectflow.cluster.progress import read_progress
from affectflow.cluster.slurm import Job
from affectflow.cluster.watch import look, stages
from affectflow.cluster.watch_text import WIDTH, describe
from affectflow.commandline import ERROR
from affectflow.joblog import done_line, frames_line

LATER = 120.0
SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "watch.py"


def planned(shards: int = 2) -> list[PlannedJob]:
    """A study of one backbone and one experiment."""
    jobs = [PlannedJob("index_dataset", "", "logs/index_dataset.log", local=True)]
    for shard in (f"{number:03d}" for number in range(shards)):
        for rule in ("extract_frames", "detect_faces"):
            jobs.append(PlannedJob(rule, shard, f"logs/{rule}/shard-{shard}.log"))
        log = f"logs/embed/resnet18/shard-{shard}.log"
        jobs.append(PlannedJob("embed", f"resnet18_{shard}", log))
    return [*jobs, PlannedJob("train", "lstm", "logs/train/lstm.log")]


def begin(folder: Path, executor: str = "slurm", jobs: list[PlannedJob] | None = None) -> None:
    """A run of this process's own: it is alive."""
    record = folder / RECORD
    record.parent.mkdir(parents=True)
    controller.record(folder, executor, planned() if jobs is None else jobs)


def end(folder: Path, killed: bool = False) -> None:
    """Make the run another process's, which has ended; killed, it leaves its lock."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    change(folder, pid=dead.pid)
    if killed:
        lock(folder)


def change(folder: Path, **values: object) -> None:
    """Change the record, but not its time."""
    record = folder / RECORD
    then = record.stat().st_mtime_ns
    record.write_text(json.dumps(json.loads(record.read_text()) | values))
    os.utime(record, ns=(then, then))


def lock(folder: Path) -> None:
    (folder / ".snakemake" / "locks").mkdir()
    (folder / ".snakemake" / "locks" / "0.output.lock").write_text("results/report.html\n")


def say(folder: Path, log: str, *lines: str) -> None:
    (folder / log).parent.mkdir(parents=True, exist_ok=True)
    (folder / log).write_text("".join(f"{line}\n" for line in lines))


def well(frames: int = 100, seconds: float = 50.0, faces: int | None = None) -> list[str]:
    """The end of a log as a script writes it."""
    figures = frames_line(frames, seconds, "cuda", faces)
    return [f"12:00:00 {figures}", f"12:00:01 {done_line(seconds, 800.4, 77)}"]


def queued(rule: str, wildcards: str, state: str = "RUNNING", number: str = "7") -> Job:
    where = "gpu1" if state == "RUNNING" else "(Priority)"
    return Job(number, state, rule, wildcards, "0:12", where, "run")


def states(folder: Path, queue: list[Job] | None = None, later: float = 0.0) -> dict[str, str]:
    run = controller.latest(folder)
    assert run is not None
    seen = look(folder, run, queue, time.time() + later)
    return {f"{one.job.rule} {one.job.wildcards}".strip(): one.state for one in seen}


def text(folder: Path, queue: list[Job] | None = None, doubt: str = "") -> str:
    run = controller.latest(folder)
    assert run is not None
    return describe(folder, run, queue, doubt)


def flat(*arguments: Any) -> str:
    return " ".join(text(*arguments).split())


def test_a_job_is_what_its_log_and_the_queue_say(tmp_path: Path) -> None:
    begin(tmp_path)
    say(tmp_path, "logs/extract_frames/shard-000.log", *well())
    say(tmp_path, "logs/detect_faces/shard-000.log", "12:00:00 loading")
    say(tmp_path, "logs/embed/resnet18/shard-001.log", f"{ERROR}shard-001.h5: is damaged")
    queue = [queued("detect_faces", "000"), queued("detect_faces", "001", "PENDING", "8")]
    assert states(tmp_path, queue) == {
        "index_dataset": "left",
        "extract_frames 000": "done",
        "extract_frames 001": "left",
        "detect_faces 000": "running",
        "detect_faces 001": "queued",
        "embed resnet18_000": "left",
        "embed resnet18_001": "failed",
        "train lstm": "left",
    }


def test_a_log_from_before_the_run_says_nothing(tmp_path: Path) -> None:
    begin(tmp_path)
    log = "logs/extract_frames/shard-000.log"
    say(tmp_path, log, *well())
    old = (tmp_path / RECORD).stat().st_mtime - 10
    os.utime(tmp_path / log, (old, old))
    assert states(tmp_path, [])["extract_frames 000"] == "left"


def test_a_job_that_is_tried_again_has_not_failed(tmp_path: Path) -> None:
    begin(tmp_path)
    say(tmp_path, "logs/train/lstm.log", f"{ERROR}no memory")
    assert states(tmp_path, [queued("train", "lstm", "PENDING")])["train lstm"] == "queued"
    assert states(tmp_path, [queued("train", "lstm")])["train lstm"] == "running"
    assert states(tmp_path, [])["train lstm"] == "failed"


def test_a_job_that_left_the_queue_without_a_word_was_killed(tmp_path: Path) -> None:
    begin(tmp_path)
    say(tmp_path, "logs/train/lstm.log", "12:00:00 epoch 1/3")
    assert states(tmp_path, [])["train lstm"] == "running"  # its last words may be on the way
    assert states(tmp_path, [], LATER)["train lstm"] == "failed"
    assert states(tmp_path, None, LATER)["train lstm"] == "running"  # SLURM gave no answer
    end(tmp_path)
    assert states(tmp_path, [], LATER)["train lstm"] == "left"


def test_a_local_job_runs_as_long_as_the_controller(tmp_path: Path) -> None:
    begin(tmp_path)
    say(tmp_path, "logs/index_dataset.log", "12:00:00 9068 clips")
    assert states(tmp_path, [], LATER)["index_dataset"] == "running"
    end(tmp_path, killed=True)
    assert states(tmp_path, [], LATER)["index_dataset"] == "left"


def test_without_slurm_all_jobs_are_local(tmp_path: Path) -> None:
    begin(tmp_path, "local")
    say(tmp_path, "logs/train/lstm.log")
    assert states(tmp_path, later=LATER)["train lstm"] == "running"
    assert "train  lstm  0:0" in text(tmp_path)
    end(tmp_path)
    assert states(tmp_path, later=LATER)["train lstm"] == "left"


def test_where_slurm_keeps_no_comments_the_logs_tell(tmp_path: Path) -> None:
    begin(tmp_path)
    say(tmp_path, "logs/train/lstm.log", "12:00:00 epoch 1/3")
    queue = [queued("", "")]
    assert states(tmp_path, queue, LATER)["train lstm"] == "running"
    assert "keeps no comments" in text(tmp_path, queue)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["error: a.h5: is damaged", "  Make it again."], "a.h5: is damaged"),
        (["Traceback (most recent call last):", '  File "a"', "ValueError: 3"], "ValueError: 3"),
        (["Traceback (most recent call last):", '  File "a"', "KeyboardInterrupt"], ""),
        (["Traceback (most recent call last):", "ValueError: 3", "12:00:00 went on"], ""),
        (["error: said a library", "12:00:00 went on"], ""),
        (["12:00:00 5 clips"], ""),
        ([], ""),
    ],
)
def test_an_error_is_the_last_thing_that_a_log_says(
    tmp_path: Path, lines: list[str], error: str
) -> None:
    say(tmp_path, "a.log", "12:00:00 begun", *lines)
    progress = read_progress(tmp_path / "a.log", 0.0, time.time())
    assert progress is not None and progress.end is None and progress.error == error


def test_time_runs_from_the_first_line_across_midnight(tmp_path: Path) -> None:
    say(tmp_path, "a.log", "torch warns", "23:59:00 begun", "00:00:10 went on")
    midnight = time.mktime((2026, 11, 21, 0, 1, 0, 0, 0, -1))
    progress = read_progress(tmp_path / "a.log", 0.0, midnight)
    assert progress is not None and progress.seconds == 120.0


def test_figures_of_a_stage(tmp_path: Path) -> None:
    begin(tmp_path, jobs=planned(5))
    for shard, faces in ((0, 90), (1, 40), (2, 99)):
        say(tmp_path, f"logs/detect_faces/shard-00{shard}.log", *well(100, 50.0, faces))
    run = controller.latest(tmp_path)
    assert run is not None
    by_name = {
        row.name: row for row in stages(look(tmp_path, run, [queued("detect_faces", "003")]))
    }
    faces = by_name["detect_faces"]
    assert (faces.planned, faces.done, faces.running, faces.left) == (5, 3, 1, 1)
    assert (faces.frames_per_s, faces.coverage, faces.peak_mib) == (2.0, 0.4, 800)
    # 10 s for a job's start; one to do, and half of one that runs, one at a time.
    assert faces.seconds_left == pytest.approx(60 * 1.5)
    assert by_name["embed"].seconds_left is None and by_name["embed"].peak_mib is None


WAYS = st.sampled_from(["nothing", "waits", "runs", "well", "error", "cut"])


@given(st.lists(WAYS, min_size=1, max_size=12), st.booleans(), st.booleans(), st.floats(0, 1e5))
def test_counts_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    ways: list[str],
    ended: bool,
    asked: bool,
    later: float,
) -> None:
    folder = tmp_path_factory.mktemp("study")
    jobs = [PlannedJob("embed", f"r_{i:03d}", f"logs/{i}.log") for i in range(len(ways))]
    begin(folder, jobs=jobs)
    queue = []
    for job, way in zip(jobs, ways, strict=True):
        if way in ("waits", "runs"):
            queue.append(queued("embed", job.wildcards, {"waits": "PENDING"}.get(way, "RUNNING")))
        elif way != "nothing":
            last = {"well": well(), "error": [f"{ERROR}x"], "cut": ["12:00:00 5 clips"]}
            say(folder, job.log, *last[way])
    if ended:
        change(folder, born=1.0)
    run = controller.latest(folder)
    assert run is not None
    (row,) = stages(look(folder, run, queue if asked else None, time.time() + later))
    counts = row.done + row.running + row.queued + row.failed + row.left
    assert counts == row.planned == len(jobs)
    assert row.done == ways.count("well") and row.failed >= ways.count("error")
    if asked:
        assert row.queued == ways.count("waits") and row.running >= ways.count("runs")
    assert (row.seconds_left is None) == (not row.done or not row.running)
    assert row.seconds_left is None or row.seconds_left > 0
    assert all(value is None or value >= 0 for value in astuple(row)[1:])


def test_what_became_of_the_controller(tmp_path: Path) -> None:
    begin(tmp_path)
    lock(tmp_path)
    assert f"running on {os.uname().nodename}" in flat(tmp_path, [])
    change(tmp_path, host="login2")
    assert "if that is still there (ssh login2 ps -p" in flat(tmp_path, [])
    change(tmp_path, host=os.uname().nodename)
    end(tmp_path)
    died = flat(tmp_path, [queued("train", "lstm")])
    assert "died (ran on" in died and "Of its jobs 1 are still in SLURM's queue" in died
    assert "give the same command again" in died
    (tmp_path / ".snakemake" / "locks" / "0.output.lock").unlink()
    assert "stopped, 8 of 8 jobs not done" in flat(tmp_path, [])
    change(tmp_path, host="login2")
    assert "stopped, 8 of 8 jobs not done" in flat(tmp_path, [])  # no lock: it is over there too
    say(tmp_path, "logs/train/lstm.log", f"{ERROR}train.loss: there is no loss 'ce'", "  Use kl.")
    failed = text(tmp_path, [])
    assert "Mend what failed" in failed
    assert "failed: train lstm\n  train.loss: there is no loss 'ce'\n  logs/train" in failed


def test_a_finished_run_says_so_and_asks_nobody(tmp_path: Path) -> None:
    begin(tmp_path)
    for job in planned():
        say(tmp_path, job.log, *well())
    end(tmp_path)
    said = flat(tmp_path, None, "slurm: squeue gave no answer")
    assert "finished: all 8 jobs" in said and "gave no answer" not in said


def test_it_fits_a_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "a-study" / ("with-a-long-name" * 3)
    jobs = [
        PlannedJob("embed", f"inception_resnet_v1_{i:03d}", f"logs/e/{i}.log") for i in range(300)
    ]
    begin(folder, jobs=jobs)
    for job in jobs[:40]:
        say(folder, job.log, *well(10**6, 4000.0, 10**6))
    for job in jobs[40:50]:
        say(folder, job.log, f"{ERROR}{'a very long story, ' * 20}\x1b[31m")
    queue = [queued("embed", job.wildcards, number=f"12345{i}") for i, job in enumerate(jobs[50:])]
    why = "(ReqNodeNotAvail, UnavailableNodes:gpu[01-40],login1)"
    waits = [replace(job, state="PENDING", reason=why) for job in queue[8:]]
    said = text(folder, [*queue[:8], *waits])
    lines = said.removeprefix(str(folder)).splitlines()
    assert max(map(len, lines)) <= WIDTH and len(lines) < 60
    assert "... and 235 more" in said and "... and 5 more" in said and "\x1b" not in said


def watch(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--directory", str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command(tmp_path: Path) -> None:
    nothing = watch(tmp_path)
    assert nothing.returncode == 0 and nothing.stdout.count("\n") == 1
    assert "no run to watch" in nothing.stdout
    nowhere = watch(tmp_path / "nowhere")
    assert nowhere.returncode == 1 and nowhere.stderr.startswith(ERROR)
    begin(tmp_path, "local")
    end(tmp_path)
    ended = watch(tmp_path, "--every", "1")  # it ends by itself
    assert ended.returncode == 0 and "stopped, 8" in ended.stdout
