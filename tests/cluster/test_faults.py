"""What goes wrong on a cluster, done to a run; then its predictions are those of a quiet one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Controller, Lab
from needs import lacking
from study import Study

from affectflow.shards.files import ROOM_BYTES, made_by, open_complete, sealed_sha256
from slurm import Cluster, faketime

pytestmark = pytest.mark.usefixtures("quiet")

Note = Callable[[str, str], None]
STAGES = ("extract_frames", "detect_faces", "embed", "train")
# What is removed of a finished study, so that it goes on from that stage.
FROM = {
    "extract_frames": ("faces", "embeddings*", "embeddings/*", "experiments"),
    "embed": ("embeddings/*", "experiments"),
    "train": ("experiments",),
}

DISK_BYTES = 4 * ROOM_BYTES
# Given on the command line, --set-resources replaces the profile's.
GPU = [f"{rule}:slurm_partition=gpu" for rule in ("detect_faces", "embed", "train")]


def same(lab: Lab, undisturbed: Lab) -> bool:
    return lab.predictions() == undisturbed.predictions()


def ends_well(controller: Controller, undisturbed: Lab) -> str:
    run = controller.finish()
    assert run.code == 0, run.out
    assert same(controller.lab, undisturbed)
    return run.out


@pytest.fixture
def begun(undisturbed: Lab, tmp_path: Path) -> Callable[[str], Lab]:
    """A study of which all is made that comes before a stage."""

    def make(stage: str) -> Lab:
        return undisturbed.without(tmp_path, *FROM[stage])

    return make


@pytest.fixture
def embedding(begun: Callable[[str], Lab]) -> Controller:
    """A controller with a job that embeds."""
    controller = begun("embed").start("experiments")
    controller.script("embed")
    return controller


def test_a_jobs_process_is_killed_at_each_stage(
    new_lab: Callable[[], Lab], undisturbed: Lab, survived: Note
) -> None:
    controller = new_lab().start("experiments")
    for stage in STAGES:
        controller.script(stage).kill()
    out = ends_well(controller, undisturbed)
    assert out.count("Error in rule") >= len(STAGES)
    # The rules' own memory and time, doubled.
    assert "mem_mb=12000" in out and "runtime=480" in out
    for stage in STAGES:
        survived(f"SIGKILL to the process of {stage}", "tried again by the controller")


def test_scancel(embedding: Controller, undisturbed: Lab, survived: Note) -> None:
    job, _ = embedding.running("embed")
    embedding.lab.cluster.run("scancel", job)
    out = ends_well(embedding, undisturbed)
    assert f"SLURM-job '{job}' failed, SLURM status is: 'CANCELLED'" in out
    survived("scancel of a running job", "tried again by the controller")


def test_time_runs_out_in_the_middle_of_training(
    undisturbed: Lab, tmp_path: Path, survived: Note
) -> None:
    longer = {"lstm": undisturbed.config["experiments"]["lstm"] | {"epochs": 60}}
    quiet = undisturbed.without(tmp_path / "quiet", *FROM["train"]).with_config(experiments=longer)
    reference = quiet.start("experiments")
    lab = undisturbed.without(tmp_path, *FROM["train"]).with_config(experiments=longer)
    controller = lab.start("experiments", "--set-resources", "train:runtime=1", *GPU)
    checkpoint = lab.folder / "results" / "experiments" / "lstm" / "checkpoint.pt"
    controller.until(checkpoint.exists)
    # It hangs, as on a file system that does not answer, until its minute is over.
    lab.scripts("train")[0].suspend()
    assert reference.finish().code == 0
    out = ends_well(controller, quiet)
    assert "SLURM status is: 'TIMEOUT'" in out
    assert "resumed after epoch" in lab.log("train/lstm")
    survived("TIMEOUT in the middle of training", "tried again; goes on from its last epoch")


def test_out_of_memory(begun: Callable[[str], Lab], undisturbed: Lab, survived: Note) -> None:
    grows = "embed:mem_mb=300 * 8 ** (attempt - 1)"
    controller = begun("embed").start("experiments", "--set-resources", grows, *GPU)
    out = ends_well(controller, undisturbed)
    assert "mem_mb=300," in out and "mem_mb=2400," in out
    logs = (controller.lab.folder / ".snakemake" / "slurm_logs" / "rule_embed").rglob("*.log")
    assert any("exceeded memory limit" in log.read_text() for log in logs)
    survived("out of memory", "tried again with more memory")


def test_a_node_goes_down_and_comes_back(
    embedding: Controller, undisturbed: Lab, survived: Note
) -> None:
    lab = embedding.lab
    job, node = embedding.running("embed")
    # As when its power fails: all that runs on it is gone at once.
    lab.cluster.stop_daemon(f"slurmd.{node}", signal.SIGKILL)
    for process in lab.processes(job):
        process.kill()
    lab.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        embedding.until(lambda: job in lab.queue("embed", "PENDING"))
    finally:
        lab.cluster.start_node(node)
        lab.cluster.resume(node)
    lab.cluster.hurry(job)
    ends_well(embedding, undisturbed)
    survived("a node goes down, and comes back", "SLURM starts the job again")


def test_slurm_requeues_a_job(embedding: Controller, undisturbed: Lab, survived: Note) -> None:
    lab = embedding.lab
    job, _ = embedding.running("embed")
    lab.cluster.run("scontrol", "requeue", job)
    embedding.until(lambda: job in lab.queue("embed", "PENDING"))
    lab.cluster.hurry(job)
    ends_well(embedding, undisturbed)
    survived("a job is put back into the queue (preemption)", "SLURM starts it again")


def test_the_controller_is_killed_while_jobs_run(
    embedding: Controller, undisturbed: Lab, survived: Note
) -> None:
    lab = embedding.lab
    embedding.process.kill()
    embedding.process.wait()
    # The same command, and one that would run beside those jobs on this machine alone.
    # Without the flag, which the profile has, Snakemake refuses by itself where a job was held
    # between writing its file and saying so.
    flag = "--rerun-incomplete"
    alone = Study(lab.checkout, lab.folder, lab.config).command("experiments", flag)
    with lab.held() as left:
        for command in (lab.command("experiments"), alone):
            done = subprocess.run(
                command, cwd=lab.checkout, env=lab.environment, capture_output=True, text=True
            )
            assert done.returncode == 1
            said = done.stdout + done.stderr
            assert f"{len(left)} job(s) of an earlier run are still in SLURM's queue" in said
            assert all(job in said for job in left)
        assert lab.queue().keys() == left, "a second writer was started"
    while lab.queue():
        time.sleep(0.5)
    # Its lock is still there; nothing has to be unlocked by hand.
    ends_well(lab.start("experiments"), undisturbed)
    survived(
        "SIGKILL to the controller while jobs run",
        "the next command refuses, naming the jobs; once they ended it finishes",
    )


def test_ctrl_c(embedding: Controller, undisturbed: Lab, survived: Note) -> None:
    lab = embedding.lab
    embedding.process.send_signal(signal.SIGINT)
    assert embedding.finish().code != 0
    assert not lab.queue(state="PENDING") and not lab.queue(state="RUNNING")
    ends_well(lab.start("experiments"), undisturbed)
    survived("Ctrl-C", "jobs are cancelled; the same command finishes")


def test_two_controllers_in_one_folder(
    embedding: Controller, undisturbed: Lab, survived: Note
) -> None:
    lab, log = embedding.lab, embedding.log.with_name("second.log")
    with log.open("wb") as file:
        done = subprocess.run(
            lab.command("experiments"),
            cwd=lab.checkout,
            env=lab.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert done.returncode == 1
    assert "is being worked on by another snakemake" in log.read_text()
    assert str(embedding.process.pid) in log.read_text()
    ends_well(embedding, undisturbed)
    survived("a second controller in the same folder", "refuses; the first one finishes")


def test_slurmctld_is_away_for_a_minute(
    embedding: Controller, undisturbed: Lab, survived: Note
) -> None:
    cluster = embedding.lab.cluster
    cluster.stop_daemon("slurmctld")
    try:
        time.sleep(60)
        assert embedding.process.poll() is None, embedding.log.read_text()
    finally:
        cluster.start_controller()
    ends_well(embedding, undisturbed)
    survived("slurmctld is away for a minute", "the controller waits")


def test_accounting_is_away(embedding: Controller, undisturbed: Lab, survived: Note) -> None:
    cluster = embedding.lab.cluster
    cluster.stop_daemon("slurmdbd")
    try:
        time.sleep(30)
    finally:
        cluster.start_accounting()
    ends_well(embedding, undisturbed)
    survived("slurmdbd is away for half a minute", "the queue tells meanwhile")


def test_the_disk_is_full_while_a_shard_is_written(
    begun: Callable[[str], Lab],
    undisturbed: Lab,
    survived: Note,
    small_disk: Callable[[Path, int], None],
) -> None:
    lab = begun("embed")
    folder = lab.folder / "results" / "embeddings"
    small_disk(folder, DISK_BYTES)
    other = folder / "something.else"
    # What is left is less than a writer holds in reserve.
    other.write_bytes(bytes(DISK_BYTES - ROOM_BYTES // 2))
    run = lab.run("experiments", "--retries", "0")
    assert run.code == 1
    assert "No space left on device" in run.out
    assert "Traceback" not in run.out
    assert list(folder.glob("**/*.*")) == [other], "something half-written is left"
    other.unlink()
    ends_well(lab.start("experiments"), undisturbed)
    survived(
        "the disk is full while a shard is written",
        "fails with a message; once there is room the same command finishes",
    )


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_shard_changes_on_the_disk(
    begun: Callable[[str], Lab], undisturbed: Lab, survived: Note, how: str
) -> None:
    # Faces that are to be embedded; embeddings that are to be trained on.
    stage, name = ("embed", "faces") if how == "truncated" else ("train", "embeddings/resnet18")
    # A second attempt merely misses the file; the end of the run still says why.
    retries = ["--retries", "1" if how == "truncated" else "0"]
    lab = begun(stage)
    shard = lab.folder / "results" / name / "shard-001.h5"
    content = bytearray(shard.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 0x10
    shard.write_bytes(content)
    run = lab.run("experiments", *retries)
    assert run.code == 1
    assert "is damaged" in run.out and "shard-001.h5.damaged" in run.out
    assert "Traceback" not in run.out
    ends_well(lab.start("experiments"), undisturbed)
    survived(f"a shard is {how} after it was written", "found, moved aside, made anew")


@pytest.fixture(scope="session")
def time_library() -> str:
    """What shows a process another time."""
    library = faketime()
    if library is None:
        lacking("libfaketime is not installed here (Debian: faketime)")
    return library


@pytest.fixture
def clocks_off(cluster: Cluster, time_library: str) -> Iterator[Callable[[str], None]]:
    """Put the clocks of SLURM on the nodes with GPUs forward or back until the test ends.

    Not of their jobs: SLURM's and Snakemake's own waiting hangs under libfaketime.
    """
    nodes = ("gpu1", "gpu2")

    def put(by: str) -> None:
        for node in nodes:
            cluster.restart_node(node, LD_PRELOAD=time_library, FAKETIME=by)

    yield put
    for node in nodes:
        cluster.restart_node(node)


@pytest.mark.parametrize("by", ["-7m", "+7m"])
def test_a_script_does_not_mind_the_clock(
    undisturbed: Lab, time_library: str, tmp_path: Path, survived: Note, by: str
) -> None:
    results = undisturbed.folder / "results"
    made = results / "embeddings" / "resnet18" / "shard-000.h5"
    with open_complete(made, "embeddings") as file:
        code = made_by(file)["code"]
    command = [sys.executable, str(undisturbed.checkout / "workflow" / "scripts" / "embed.py")]
    command += ["--faces", str(results / "faces" / "shard-000.h5"), "--code", code]
    command += ["--weights", str(results / "weights" / "resnet18.safetensors")]
    command += ["--backbone", "resnet18", "--output", str(tmp_path / "shard-000.h5")]
    clock = {"LD_PRELOAD": time_library, "FAKETIME": by}
    now = subprocess.run(["date", "+%s"], env=os.environ | clock, capture_output=True, check=True)
    assert (int(now.stdout) - time.time()) / 60 == pytest.approx(int(by.rstrip("m")), abs=0.1)
    path = {"PYTHONPATH": str(undisturbed.checkout / "src")}
    subprocess.run(command, env=os.environ | clock | path, check=True)
    assert sealed_sha256(tmp_path / "shard-000.h5") == sealed_sha256(made)
    survived(f"a script's clock is off by {by}", "the same bytes")


def test_the_clock_of_nodes_is_behind(
    begun: Callable[[str], Lab],
    undisturbed: Lab,
    survived: Note,
    clocks_off: Callable[[str], None],
) -> None:
    clocks_off("-7m")
    ends_well(begun("embed").start("experiments"), undisturbed)
    survived("the clock of a node's SLURM is 7 minutes behind", "nothing")


def test_the_clock_of_nodes_is_ahead(
    begun: Callable[[str], Lab],
    undisturbed: Lab,
    survived: Note,
    clocks_off: Callable[[str], None],
) -> None:
    lab = begun("embed")
    clocks_off("+7m")
    # To such a node SLURM's own credentials, good for two minutes, have expired.
    assert lab.run("experiments", "--retries", "0").code == 1
    clocks_off("+0m")
    ends_well(lab.start("experiments"), undisturbed)
    survived(
        "the clock of a node's SLURM is 7 minutes ahead",
        "SLURM refuses to start jobs there; once it is right the same command finishes",
    )
