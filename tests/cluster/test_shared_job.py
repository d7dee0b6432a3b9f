"""Experiments of one backbone that share a GPU job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab
from study import SMALL, Study

pytestmark = pytest.mark.usefixtures("quiet")

PROFILE = "profiles/slurm/config.yaml"
MARKS = ("- gpu=1", "set-resource-scopes:", "group-components:", "keep-incomplete:")
EXPERIMENTS = SMALL["experiments"]


@pytest.fixture
def sharing(undisturbed: Lab, tmp_path: Path) -> Callable[..., Lab]:
    """Make a study that is embedded, with a profile in which a user took the marks away."""

    def make(**experiments: object) -> Lab:
        lab = undisturbed.without(tmp_path, "experiments").with_config(experiments=experiments)
        shutil.copytree(lab.checkout, tmp_path / "checkout", symlinks=True)
        lab = replace(lab, checkout=tmp_path / "checkout")
        for mark in MARKS:
            lab.edit(PROFILE, f"# {mark}", mark)
        return lab

    return make


def accounted(lab: Lab) -> list[list[str]]:
    """Comment, what was allocated, and the time limit of this study's jobs that share."""
    format_ = "--format=Comment%60,AllocTRES%80,Timelimit,WorkDir%200"
    told = lab.cluster.run("sacct", "-X", "--noheader", "--parsable2", format_)
    rows = [line.split("|") for line in told.splitlines()]
    return [row[:-1] for row in rows if row[-1] == str(lab.folder)]


def test_experiments_share_a_gpu_job(
    sharing: Callable[..., Lab], undisturbed: Lab, finished: Study
) -> None:
    lab = sharing(**EXPERIMENTS)
    run = lab.run("experiments")
    assert run.code == 0, run.out
    [[comment, allocated, limit]] = accounted(lab)
    assert comment == "rule_train-resnet18_train"
    assert "gres/gpu=1" in allocated and "mem=8000M" in allocated
    assert limit == "08:00:00", "two of four hours"
    assert lab.predictions("lstm") == undisturbed.predictions("lstm")
    assert lab.predictions("other") == finished.predictions("other")
    assert not list(lab.folder.glob("results/experiments/*/checkpoint.pt"))
    before = lab.log("train/lstm")
    lab = lab.with_config(experiments=EXPERIMENTS | {"other": EXPERIMENTS["lstm"]})
    run = lab.run("experiments")
    assert run.code == 0, run.out
    assert len(accounted(lab)) == 2
    assert lab.predictions("other") == undisturbed.predictions("lstm")
    assert lab.log("train/lstm") == before, "trained again"


def test_one_of_them_fails(sharing: Callable[..., Lab], undisturbed: Lab) -> None:
    """The other one ends, is not trained a second time, and is done for the next command."""
    broken = EXPERIMENTS["lstm"] | {"learning_rate": 1e38}
    lab = sharing(broken=broken, lstm=EXPERIMENTS["lstm"])
    assert lab.run("--retries", "1", "experiments").code == 1
    assert len(accounted(lab)) == 2
    assert lab.predictions() == undisturbed.predictions()
    assert "resumed after epoch 3" in lab.log("train/lstm")
    planned = lab.run("--dry-run", "experiments")
    assert "logs/train/broken.log" in planned.out
    assert "logs/train/lstm.log" not in planned.out


def test_slurm_requeues_their_job(
    sharing: Callable[..., Lab], undisturbed: Lab, finished: Study
) -> None:
    lab = sharing(**EXPERIMENTS)
    controller = lab.start("experiments")
    job, _ = controller.running("train")
    lab.cluster.run("scontrol", "requeue", job)
    controller.until(lambda: job in lab.queue("train", "PENDING"))
    lab.cluster.hurry(job)
    run = controller.finish()
    assert run.code == 0, run.out
    assert len(accounted(lab)) == 1, "it is the same one"
    assert lab.predictions("lstm") == undisturbed.predictions("lstm")
    assert lab.predictions("other") == finished.predictions("other")


def test_several_gpus_for_one_at_a_time_are_refused(sharing: Callable[..., Lab]) -> None:
    lab = sharing(**EXPERIMENTS)
    lab.edit(PROFILE, "  - gpu=1\n", "")
    run = lab.run("experiments")
    assert run.code == 1
    assert "a job that 2 experiments share asks for 2 GPUs" in run.out
    assert not lab.queue()
