"""Disks without locks, modes, fsync or fallocate: files are written and read all the same."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import odd_disk
import pytest

from affectflow.errors import UserError
from affectflow.provenance import access
from affectflow.provenance.atomic import atomic, shortened, write_text
from affectflow.shards.files import create, open_complete

JOIN = """
import sys
from pathlib import Path
import numpy as np
from affectflow.shards.embeddings import embedding_rows, join, open_joined
from affectflow.shards.files import create

top = Path(sys.argv[1])
shards = [top / "b" / f"shard-{i}.h5" for i in range(2)]
for i, shard in enumerate(shards):
    with create(shard, "embeddings", {}) as file:
        rows = embedding_rows(file, 3, 4)
        values = {"embedding": np.full((3, 4), i + 1, np.float16), "mask": np.ones(3, bool)}
        rows.append({"clip_id": str(i)}, values)
join(shards, top / "b.h5")
with open_joined(top / "b.h5") as (embedding, mask, clips):
    print(embedding[:].sum(), mask[:].sum(), clips)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_disk.build(tmp_path_factory.mktemp("odd"))


def run(library: Path, odd: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | odd_disk.environment(library, odd)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "odd",
    [
        "no-locks",
        "locks-denied",
        "no-fsync",
        "no-folder-fsync",
        "chmod-refused",
        "chmod-forgotten",
        "no-fallocate",
        odd_disk.EVERYTHING,
    ],
)
def test_shards_are_written_joined_and_read(library: Path, tmp_path: Path, odd: str) -> None:
    done = run(library, odd, JOIN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=2) == ["36.0", "6", "['0', '1']\n"]
    assert {path.name for path in tmp_path.rglob("*.*")} == {"b.h5", "shard-0.h5", "shard-1.h5"}


def test_the_library_does_refuse_locks(library: Path, tmp_path: Path) -> None:
    code = "import h5py, sys; h5py.File(sys.argv[1], 'w', locking=True)"
    done = run(library, "no-locks", code, str(tmp_path / "a.h5"))
    assert "No locks available" in done.stderr


def test_a_failed_fsync_is_no_success(library: Path, tmp_path: Path) -> None:
    done = run(library, "fsync-fails", JOIN, str(tmp_path))
    assert f"UserError: {tmp_path}/b/shard-0.h5: Input/output error" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


RESTRICT = """
import os, sys
from pathlib import Path
from affectflow.provenance import access
group = int(sys.argv[2]) if sys.argv[2] else None
folders = [Path(sys.argv[1]), *map(Path, sys.argv[4:])]
print(access.restrict(folders, group, required=sys.argv[3] == "required"))
"""


@pytest.mark.parametrize("odd", ["chmod-refused", "chmod-forgotten"])
def test_a_folder_that_others_can_look_into_is_refused(
    library: Path, tmp_path: Path, odd: str
) -> None:
    tmp_path.chmod(0o755)
    done = run(library, odd, RESTRICT, str(tmp_path), "", "required")
    said = f"others can't be kept out of {tmp_path} (mode 0755): the file system"
    assert said in done.stderr
    assert "private: preferred" in done.stderr


@pytest.mark.parametrize("odd", ["chmod-refused", "chmod-forgotten"])
def test_or_told_once_where_the_config_allows_it(library: Path, tmp_path: Path, odd: str) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "a").mkdir(mode=0o755)
    done = run(library, odd, RESTRICT, str(tmp_path), "", "preferred", str(tmp_path / "a"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("others can't be kept out") == 1


def test_a_group_that_a_folder_can_not_be_given_to_is_told(library: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    other = str(os.getegid() + 1)
    done = run(library, "chown-refused", RESTRICT, str(tmp_path), other, "preferred")
    assert done.returncode == 0, done.stderr
    # Its mode is 2750 now, and its group another.
    assert "others can't be kept out" in done.stdout
    refused = run(library, "chown-refused", RESTRICT, str(tmp_path), other, "required")
    assert "private: preferred" in refused.stderr


def test_a_private_folder_is_private_whatever_can_not_be_set(library: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = run(library, "chmod-refused chown-refused", RESTRICT, str(tmp_path), "", "required")
    assert done.stdout == "[]\n", done.stderr


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="results: cannot be made"):
        access.restrict([tmp_path / "results"], None)


def test_without_posix_fallocate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with create(tmp_path / "a.h5", "faces", {}):
        pass
    with open_complete(tmp_path / "a.h5", "faces") as file:
        assert file.attrs["complete"]


@pytest.mark.parametrize("length", [1, 60, 61, 200, 255])
def test_a_temporary_name_fits_whatever_the_host_and_the_file_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "login-" + "a" * 240 + ".uni.edu")
    monkeypatch.setenv("SLURM_JOB_ID", "9" * 30)
    path = tmp_path / ("é" * (length // 2) + "x" * (length % 2))
    with atomic(path) as temporary:
        temporary.touch()
        assert len(temporary.name.encode()) <= 143
    assert path.exists()
    # What a dead writer of this host left is found by the shortened names.
    left = temporary.with_name(temporary.name.replace(f".{os.getpid()}.", f".{2**22 + 1}."))
    left.touch()
    write_text(path, "whole")
    assert [*tmp_path.iterdir()] == [path]


def test_names_that_differ_at_their_ends_stay_different() -> None:
    a, b = "x" * 80 + "a", "x" * 80 + "b"
    assert len({shortened(name, 60) for name in (a, b)}) == 2
    assert shortened("short", 60) == "short"


def test_a_mode_that_a_library_set_is_set_back(tmp_path: Path) -> None:
    with atomic(tmp_path / "a") as temporary:
        temporary.chmod(0o666)
    assert not stat.S_IMODE((tmp_path / "a").stat().st_mode) & 0o007
