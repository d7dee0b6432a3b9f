"""A cluster that keeps no accounts of its jobs, as small ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Lab

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def unkept(new_lab: Callable[[], Lab], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A study on the cluster, whose commands say that it keeps no accounts."""
    lab = new_lab()
    folder = lab.cluster.folder / "bin"
    disabled = "echo 'Slurm accounting storage is disabled' >&2\nexit 1\n"
    config = "sed 's/^AccountingStorageType .*/AccountingStorageType   = (null)/'"
    real = lab.cluster.run("sh", "-c", "command -v scontrol").strip()
    commands = {
        "sacct": disabled,
        "sacctmgr": disabled,
        "sshare": disabled,
        "scontrol": f'set -o pipefail\n{real} "$@" | {config}\n',
    }
    for name, script in commands.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}")
        (folder / name).chmod(0o755)
    yield lab
    for name in commands:
        (folder / name).unlink()


def set_account(lab: Lab, tmp_path: Path, line: str) -> list[str]:
    profile = lab.checkout / "slurm" / "config.yaml"
    text = profile.read_text().replace("  slurm_account: default\n", line)
    folder = tmp_path / "profile"
    folder.mkdir()
    (folder / "config.yaml").write_text(text)
    return ["--profile", str(folder)]


def test_an_account_is_refused_there(unkept: Lab) -> None:
    run = unkept.run()
    assert run.code == 1
    assert "slurm_account is default, and this cluster keeps no accounts" in run.out
    assert not unkept.queue()


def test_the_queue_tells_what_the_accounts_do_not(
    unkept: Lab, tmp_path: Path, undisturbed: Lab
) -> None:
    run = unkept.run(*set_account(unkept, tmp_path, ""), "embeddings")
    assert run.code == 0, run.out
    name = "results/embeddings/resnet18/shard-000.h5"
    assert (unkept.folder / name).is_file()


def test_a_manifest_without_a_root(new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    videos = sorted(path for path in (lab.folder / "corpus").rglob("*.*") if path.suffix == ".mp4")
    rows = [
        f"{path.stem},{path.stem[:6]},train,{path.relative_to(lab.folder)},1\n"
        for path in videos[:2]
    ]
    table = lab.folder / "clips.csv"
    table.write_text("clip_id,subject,split,path,engagement\n" + "".join(rows))
    dataset = {"layout": "manifest", "clips": str(table), "root": None}
    run = lab.with_config(dataset=dataset).run("results/dataset/clips.csv")
    assert run.code == 0, run.out
    assert "Traceback" not in run.out
