"""Mistakes that are told before anything is submitted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab
from study import Run

from affectflow.cluster import preflight
from affectflow.cluster.preflight import Request
from slurm import Cluster

SECONDS = 3.0


@pytest.fixture
def lab(new_lab: Callable[[], Lab], tmp_path: Path) -> Lab:
    """A study and a checkout of its own, whose profile can be spoilt."""
    lab = new_lab()
    shutil.copytree(lab.checkout, tmp_path / "checkout", symlinks=True)
    return replace(lab, checkout=tmp_path / "checkout")


def refused(lab: Lab, *arguments: str) -> Run:
    run = lab.run(*arguments)
    assert run.code == 1, run.out
    assert "Traceback" not in run.out
    assert not lab.queue(), "something was submitted"
    assert not (lab.folder / "results").exists()
    return run


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slurm_account: default", "slurm_account: <account>", "still the placeholder <account>"),
        ("gpu-partition gpu", "gpu-partition <GPU partition>", "placeholder <GPU partition>"),
        ("gpu-partition gpu", "gpu-partition gpus", "no partition 'gpus'\n  Did you mean"),
        ("slurm_account: default", "slurm_account: defualt", "no account 'defualt' of yours"),
    ],
)
def test_the_profile_is_checked(lab: Lab, old: str, new: str, said: str) -> None:
    lab.edit("profiles/slurm/config.yaml", old, new)
    assert said in refused(lab).out


def test_a_dry_run_minds_nothing(lab: Lab) -> None:
    lab.edit("profiles/slurm/config.yaml", "slurm_account: default", "slurm_account: <account>")
    assert lab.run("--dry-run").code == 0


def test_more_time_than_the_partition_gives(lab: Lab) -> None:
    more = "  train:\n    runtime: 6000\n"
    lab.edit("profiles/slurm/config.yaml", "  train:\n", more)
    run = refused(lab)
    assert "train asks for 6000 minutes; partition 'gpu' gives 3600" in run.out


def test_more_time_for_a_later_attempt_than_the_partition_gives(lab: Lab) -> None:
    more = '  train:\n    runtime: "1000 * 2 ** (attempt - 1)"\n'
    lab.edit("profiles/slurm/config.yaml", "  train:\n", more)
    run = refused(lab)
    assert "the last attempt of train would ask for 8000 minutes; partition 'gpu'" in run.out
    assert '`runtime: "min(1000 * 2 ** (attempt - 1), 3600)"`' in run.out


def test_a_partition_without_gpus(lab: Lab) -> None:
    """Such as when the command line replaces the profile's set-resources."""
    run = refused(lab, "--set-resources", "train:mem_mb=4000")
    assert "asks for a GPU; partition 'cpu' has none" in run.out


def test_weights_that_are_not_there(lab: Lab) -> None:
    missing = {"resnet18": {"weights": "weights/resnet18.pth"}}
    assert (
        "there is no file weights/resnet18.pth" in refused(lab.with_config(backbones=missing)).out
    )


def test_weights_that_can_not_be_fetched(lab: Lab) -> None:
    # No name ends in `invalid` (RFC 2606), so it is out of reach with a network too.
    model = "src/affectflow/backbones/models/resnet18.py"
    lab.edit(model, "https://download.pytorch.org/", "https://weights.invalid/")
    run = refused(lab.with_config(backbones={"resnet18": {"weights": "pretrained"}}))
    assert "weights.invalid can't be reached from here" in run.out
    assert "Compute nodes never download" in run.out


@pytest.fixture
def far_node(cluster: Cluster) -> Iterator[str]:
    """A partition whose one node is another machine (and does not answer)."""
    with (cluster.folder / "slurm.conf").open("a") as file:
        file.write("NodeName=far1 NodeHostname=elsewhere NodeAddr=127.0.0.2 State=UNKNOWN\n")
        file.write("PartitionName=far Nodes=far1 MaxTime=60:00:00 State=UP\n")
    cluster.restart()
    yield "far"
    conf = cluster.folder / "slurm.conf"
    lines = conf.read_text().splitlines(keepends=True)
    conf.write_text("".join(lines[:-2]))
    cluster.restart()


def test_a_folder_that_nodes_can_not_see(lab: Lab, far_node: str) -> None:
    lab.edit("profiles/slurm/config.yaml", "slurm_partition: cpu", f"slurm_partition: {far_node}")
    run = refused(lab)
    assert "the working directory: " in run.out
    assert "lies on a disk of this machine" in run.out and "jobs run on elsewhere" in run.out
    assert "shared_folders: true" in run.out


def test_it_is_quick(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under three seconds for a study of DAiSEE's size, with every question asked of SLURM."""
    asked = {"slurm_account": "default", "slurm_partition": "gpu", "runtime": 60}
    for name, value in lab.cluster.environment.items():
        monkeypatch.setenv(name, value)
    start = time.monotonic()
    preflight.claim(lab.folder, submits=True)
    preflight.check([Request("embed", asked)] * 700, {"here": lab.folder}, shared=False)
    assert time.monotonic() - start < SECONDS
