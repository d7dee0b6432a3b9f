"""What a job's log says is read back as it was written."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.joblog import done_line, frames_line, peak_mib, read_job_log


@given(
    st.integers(0, 10**7),
    st.floats(0.01, 1e5),
    st.floats(0, 1),
    st.integers(1, 10**6),
    st.none() | st.floats(0, 1),
)
def test_a_shards_log_reads_back(
    tmp_path_factory, frames: int, seconds: float, share: float, peak: int, busy: float | None
) -> None:
    log = tmp_path_factory.mktemp("log") / "job.log"
    found = int(frames * share)
    worked = None if busy is None else busy * seconds
    lines = [f"12:00:00 {frames_line(frames, seconds, 'cuda', found, worked)}"]
    lines += [f"12:00:00 {done_line(seconds, peak, 77)}"]
    log.write_text("\n".join(["torch said something", *lines, ""]))
    read = read_job_log(log)
    assert read is not None
    assert (read.frames, read.device, read.peak_mib, read.gpu_mib) == (frames, "cuda", peak, 77)
    assert abs(read.seconds - seconds) <= 0.05 + 1e-9
    assert read.coverage is not None
    assert abs(read.coverage - found / max(frames, 1)) <= 0.0005 + 1e-9
    assert (read.busy is None) == (busy is None)
    assert read.busy is None or busy is None or abs(read.busy - busy) <= 0.005 + 1e-9


def test_lines_of_each_kind_are_read(tmp_path: Path) -> None:
    """The first two are also those of jobs that ran before a device's share was told."""
    lines = {
        "10 frames on cpu, 5.0 frames/s": (None, None),
        "10 frames on cpu, 5.0 frames/s, 4 with a face, coverage 0.400": (0.4, None),
        "10 frames on cuda, 5.0 frames/s, busy 0.25": (None, 0.25),
        "10 frames on cuda, 5.0 frames/s, 4 with a face, coverage 0.400, busy 0.25": (0.4, 0.25),
    }
    log = tmp_path / "job.log"
    for line, (coverage, busy) in lines.items():
        log.write_text(f"12:00:00 {line}\n12:00:01 {done_line(2, 100)}\n")
        read = read_job_log(log)
        assert read is not None
        assert (read.frames, read.frames_per_s) == (10, 5.0)
        assert (read.coverage, read.busy) == (coverage, busy)


def test_a_log_without_frames_has_none(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(f"12:00:00 {done_line(3.2, 512.4)}\n")
    read = read_job_log(log)
    assert read is not None
    assert (read.frames, read.coverage, read.gpu_mib, read.peak_mib) == (None, None, None, 512)


def test_a_job_that_has_not_ended_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "cut.log"
    log.write_text(f"12:00:00 {frames_line(10, 1.0, 'cpu')}\nerror: the disk is full\n")
    assert read_job_log(log) is None


def test_peak_memory_is_told_in_the_same_unit_on_each_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macOS counts bytes, Linux KiB."""
    for system, peak in (("linux", 300 * 2**10), ("darwin", 300 * 2**20)):
        monkeypatch.setattr("sys.platform", system)
        monkeypatch.setattr("resource.getrusage", lambda _, peak=peak: Namespace(ru_maxrss=peak))
        assert peak_mib() == 300
