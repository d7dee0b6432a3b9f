"""Who runs a study: told from the dead."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from affectflow.cluster import controller
from affectflow.cluster.controller import PlannedJob
from affectflow.cluster.preflight import claim
from affectflow.errors import UserError

JOBS = [PlannedJob("embed", "resnet18_000", "logs/embed/resnet18/shard-000.log")]


def test_a_running_controller_is_told(tmp_path: Path) -> None:
    controller.record(tmp_path, "local", JOBS)
    found = controller.latest(tmp_path)
    assert found is not None and found.alive() is True
    assert found.jobs == JOBS
    assert found.pid == os.getpid()
    with pytest.raises(UserError, match=f"another snakemake, process {os.getpid()}"):
        claim(tmp_path, submits=False)


def lock(folder: Path) -> Path:
    """What Snakemake makes before the first job."""
    path = folder / ".snakemake" / "locks" / "0.output.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("results/report.html\n")
    return path


def run_and_die(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from affectflow.cluster import controller\n"
        "controller.record(Path(sys.argv[1]), 'local', [])"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)


def test_a_dead_controllers_lock_is_lifted(tmp_path: Path) -> None:
    left = lock(tmp_path)
    run_and_die(tmp_path)
    found = controller.latest(tmp_path)
    assert found is not None and found.alive() is False
    claim(tmp_path, submits=False)
    assert not left.exists()
    assert left.parent.is_dir()


def test_the_lock_of_one_that_is_about_to_begin_stays(tmp_path: Path) -> None:
    """It has not yet written down who it is: the record is still the dead one's."""
    run_and_die(tmp_path)
    new = lock(tmp_path)
    assert not controller.is_mine(tmp_path)
    claim(tmp_path, submits=False)
    assert new.exists()


def test_the_clock_of_the_machine_may_be_set(tmp_path: Path) -> None:
    """A process is told by when it began since the machine did."""
    controller.record(tmp_path, "local", [])
    assert controller.is_mine(tmp_path)
    found = controller.latest(tmp_path)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert found is not None and 0 < found.born / os.sysconf("SC_CLK_TCK") < uptime


def test_a_number_that_was_used_again_is_not_the_controller(tmp_path: Path) -> None:
    controller.record(tmp_path, "local", [])
    found = controller.latest(tmp_path)
    assert found is not None
    assert replace(found, born=found.born - 60).alive() is False
    assert replace(found, boot="another start of this machine").alive() is False
    assert replace(found, host="login2").alive() is None


def test_nobody_knows_of_a_controller_on_another_machine(tmp_path: Path) -> None:
    left = lock(tmp_path)
    controller.record(tmp_path, "local", [])
    path = tmp_path / controller.RECORD
    path.write_text(path.read_text().replace(f'"host": "{os.uname().nodename}"', '"host": "far"'))
    with pytest.raises(UserError, match=r"ssh far ps -p \d+"):
        claim(tmp_path, submits=False)
    left.unlink()
    claim(tmp_path, submits=False)  # no lock: it has ended


def test_a_new_folder_has_no_controller(tmp_path: Path) -> None:
    assert controller.latest(tmp_path) is None
    claim(tmp_path, submits=False)
