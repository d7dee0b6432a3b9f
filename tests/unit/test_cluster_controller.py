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


def test_a_dead_controllers_lock_is_lifted(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from affectflow.cluster import controller\n"
        "controller.record(Path(sys.argv[1]), 'local', [])"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir()
    (locks / "0.output.lock").write_text("results/report.html\n")
    found = controller.latest(tmp_path)
    assert found is not None and found.alive() is False
    claim(tmp_path, submits=False)
    assert not list(locks.iterdir())


def test_a_number_that_was_used_again_is_not_the_controller(tmp_path: Path) -> None:
    controller.record(tmp_path, "local", [])
    found = controller.latest(tmp_path)
    assert found is not None
    assert replace(found, born=found.born - 60).alive() is False
    assert replace(found, boot="another start of this machine").alive() is False
    assert replace(found, host="login2").alive() is None


def test_nobody_knows_of_a_controller_on_another_machine(tmp_path: Path) -> None:
    controller.record(tmp_path, "local", [])
    path = tmp_path / controller.RECORD
    path.write_text(path.read_text().replace(f'"host": "{os.uname().nodename}"', '"host": "far"'))
    claim(tmp_path, submits=False)  # no lock: it has ended
    (tmp_path / ".snakemake" / "locks").mkdir()
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").touch()
    with pytest.raises(UserError, match=r"ssh far ps -p \d+"):
        claim(tmp_path, submits=False)


def test_a_new_folder_has_no_controller(tmp_path: Path) -> None:
    assert controller.latest(tmp_path) is None
    claim(tmp_path, submits=False)
