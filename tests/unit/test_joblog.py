"""What a job's log says is read back as it was written."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from affectflow.joblog import done_line, frames_line, read_job_log


@given(st.integers(0, 10**7), st.floats(0.01, 1e5), st.floats(0, 1), st.integers(1, 10**6))
def test_a_shards_log_reads_back(
    tmp_path_factory, frames: int, seconds: float, share: float, peak: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "job.log"
    found = int(frames * share)
    lines = [f"12:00:00 {frames_line(frames, seconds, 'cuda', found)}"]
    lines += [f"12:00:00 {done_line(seconds, peak, 77)}"]
    log.write_text("\n".join(["torch said something", *lines, ""]))
    read = read_job_log(log)
    assert read is not None
    assert (read.frames, read.device, read.peak_mib, read.gpu_mib) == (frames, "cuda", peak, 77)
    assert abs(read.seconds - seconds) <= 0.05 + 1e-9
    assert read.coverage is not None and abs(read.coverage - found / max(frames, 1)) <= 0.0005


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
