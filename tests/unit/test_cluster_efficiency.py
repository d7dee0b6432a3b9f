"""What is advised, from reports as Snakemake's executor writes them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from snakemake.cli import parse_set_resources
from snakemake.profiles import ProfileConfigFileParser
from snakemake_executor_plugin_slurm.efficiency_report import parse_sacct_data

from affectflow.cluster.efficiency import (
    REPORTS,
    Used,
    advise,
    describe,
    profile_lines,
    read_report,
    reports,
)
from affectflow.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "efficiency.py"
# JobID, JobName, Comment, Elapsed, TotalCPU, NNodes, NCPUS, MaxRSS, ReqMem
SACCT = """\
{0}|run|{1}|{2}|{3}|1|{4}||{5}M
{0}.batch|batch||{2}|00:01.800|1|{4}|144876K|
{0}.0|python||{2}|{3}|1|{4}|{6}|
"""
JOBS = [
    (1, "rule_extract_frames_wildcards_000", "01:10:00", "00:30:00.000", 4, 2000, "249772K"),
    (2, "rule_detect_faces_wildcards_000", "00:00:08", "00:05.921", 1, 6000, "929292K"),
    (3, "rule_detect_faces_wildcards_001", "00:20:00", "19:00.000", 1, 12000, "3.5G"),
    (4, "rule_embed_wildcards_inception_resnet_v1_000", "1-02:00:00", "1-01:00:00", 1, 6000, "0"),
    (5, "rule_train_wildcards_lstm_2", "00:10:00", "01:00.000", 8, 8000, "961816K"),
]


def write(folder: Path, name: str = "a", jobs: list[tuple[object, ...]] = JOBS) -> Path:
    """Write a report with the executor's own code."""
    path = folder / REPORTS / f"efficiency_report_{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(SACCT.format(*job) for job in jobs).splitlines()
    parse_sacct_data(lines, 0.8, name, logging.getLogger()).to_csv(path)
    return path


def test_advice_rests_on_the_most_that_was_used(tmp_path: Path) -> None:
    advice = {one.rule: one for one in advise(read_report(write(tmp_path)))}
    assert list(advice) == ["extract_frames", "detect_faces", "embed", "train"]
    faces = advice["detect_faces"]
    assert (faces.jobs, faces.longest_s, faces.peak_mb) == (2, 1200.0, 3584.0)
    # 3584 and a quarter, and the batch step; 20 minutes and half of them.
    assert (faces.mem_mb, faces.runtime, faces.threads) == (5000, 30, 1)
    # Of four cores half of one was busy.
    frames = advice["extract_frames"]
    assert (frames.mem_mb, frames.runtime, frames.threads) == (500, 110, 1)
    # SLURM saw no memory: no advice. 26 hours: in steps of half an hour.
    assert (advice["embed"].mem_mb, advice["embed"].runtime) == (None, 2340)
    assert advice["train"].threads is None  # it decides the result


def test_the_table_and_the_lines(tmp_path: Path) -> None:
    advice = advise(read_report(write(tmp_path)))
    table = describe(advice).splitlines()
    assert max(map(len, table)) < 80 and len(table) == 2 + 4
    assert table[-1].split()[-1] == "is" and "?" in table[-2]
    lines = profile_lines(advice)
    assert '  detect_faces:\n    mem_mb: "5000 * 2 ** (attempt - 1)"\n' in lines
    assert '  embed:\n    runtime: "2340 * 2 ** (attempt - 1)"\n' in lines
    assert lines.endswith("set-threads:\n  extract_frames: 1")


def test_snakemake_takes_the_lines_and_grows_them_with_the_attempts(tmp_path: Path) -> None:
    profile = tmp_path / "config.yaml"
    profile.write_text(profile_lines(advise(read_report(write(tmp_path)))))
    with profile.open() as file:
        given_ = ProfileConfigFileParser().parse(file)["set-resources"]
    faces = parse_set_resources(given_)["detect_faces"]
    for attempt, (memory, minutes) in enumerate([(5000, 30), (10000, 60), (20000, 120)], 1):
        context = {"input": [], "attempt": attempt, "threads": 1, "rulename": "", "async_run": None}
        found = {name: faces[name].evaluate(SimpleNamespace(), **context).value for name in faces}
        assert found == {"mem_mb": memory, "runtime": minutes}


AMOUNT = st.floats(0, 1e6)
USED = st.builds(Used, st.just("embed"), AMOUNT, AMOUNT, st.integers(1, 64), AMOUNT, AMOUNT)


@given(st.lists(USED, min_size=1))
@example([Used("embed", 2.0, 5e-324, 1, 0.0, 0.0)])
def test_advice_is_never_below_what_was_used(jobs: list[Used]) -> None:
    (one,) = advise(jobs)
    assert one.jobs == len(jobs)
    assert one.mem_mb is None or one.mem_mb >= max(job.peak_mb for job in jobs) * 1.25
    assert (one.mem_mb is None) == (not any(job.peak_mb for job in jobs))
    assert one.runtime >= max(10, max(job.seconds for job in jobs) / 60 * 1.5)
    assert one.threads is None or 1 <= one.threads <= max(job.cores for job in jobs)


def test_all_reports_or_the_newest(tmp_path: Path) -> None:
    new, old = write(tmp_path, "new", JOBS[:2]), write(tmp_path, "old")
    os.utime(old, (1.0, 1.0))
    assert reports(tmp_path) == [new, old]
    assert reports(tmp_path, 1) == [new]
    assert sum(one.jobs for one in advise(read_report(new) + read_report(old))) == 7


def test_no_reports_or_others(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no reports"):
        reports(tmp_path)
    nameless = write(tmp_path, jobs=[(1, "", "00:00:08", "00:05.921", 1, 6000, "929292K")])
    with pytest.raises(UserError, match="says of no job which rule"):
        read_report(nameless)
    nameless.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column RuleName"):
        read_report(nameless)


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--directory", str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command(tmp_path: Path) -> None:
    nothing = run(tmp_path)
    assert nothing.returncode == 1 and nothing.stderr.startswith("error: ")
    write(tmp_path)
    done = run(tmp_path, "--newest", "1")
    assert done.returncode == 0 and not done.stderr
    assert "set-resources:\n  extract_frames:" in done.stdout
