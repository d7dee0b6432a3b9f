"""Which videos are others than those that were decoded, by time as a hint and content as proof."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.contents import read_record, recorded, replaced_since
from affectflow.errors import UserError
from affectflow.provenance.content import sha256

VIDEOS = [("a", "a.avi"), ("b", "sub/b.avi")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    for _, path in VIDEOS:
        (folder / path).write_bytes(path.encode().ljust(20))
    return folder


@pytest.fixture
def record(root: Path, tmp_path: Path) -> Path:
    decode(root, tmp_path / "state" / "shard-000.json")
    return tmp_path / "state" / "shard-000.json"


def decode(root: Path, record: Path) -> None:
    with recorded(VIDEOS, root, record):
        pass


def others(root: Path, record: Path, keep: bool = False) -> dict[str, str]:
    sizes = {path: (root / path).stat().st_size for _, path in VIDEOS if (root / path).exists()}
    return replaced_since(record, root, sizes, keep)


def write(path: Path, content: bytes, later: int = 10**9) -> None:
    time = path.stat().st_mtime_ns if path.exists() else 10**18
    path.write_bytes(content)
    os.utime(path, ns=(time + later, time + later))


def test_what_was_decoded_is_no_other(root: Path, record: Path) -> None:
    assert set(read_record(record)) == {"a.avi", "sub/b.avi"}
    assert others(root, record) == {}


def test_touched_videos_are_no_others(root: Path, record: Path) -> None:
    for _, path in VIDEOS:
        os.utime(root / path)
    assert others(root, record) == {}


@pytest.mark.parametrize("later", [10**9, -(10**9)])
def test_another_of_the_same_size_is_found_by_its_content(
    root: Path, record: Path, later: int
) -> None:
    write(root / "a.avi", b"x" * 20, later)
    assert others(root, record) == {"a.avi": sha256(root / "a.avi")}


def test_it_stays_another_once_it_is_decoded(root: Path, record: Path) -> None:
    """The digest that a shard was planned with must be that of the next planning."""
    write(root / "a.avi", b"x" * 20)
    before = others(root, record)
    decode(root, record)
    assert others(root, record) == before
    write(root / "a.avi", b"a.avi".ljust(20))
    assert others(root, record) == {}


def test_new_times_are_kept_so_that_nothing_is_read_again(root: Path, record: Path) -> None:
    write(root / "a.avi", b"x" * 20)
    written = record.read_bytes()
    before = others(root, record)
    assert record.read_bytes() == written, "a dry run changes nothing"
    assert others(root, record, keep=True) == before
    assert read_record(record)["a.avi"].modified == (root / "a.avi").stat().st_mtime_ns
    assert others(root, record) == before


def test_another_size_is_told_by_the_size(root: Path, record: Path) -> None:
    write(root / "a.avi", b"x" * 21)
    assert others(root, record) == {}
    decode(root, record)
    assert others(root, record) == {}
    write(root / "a.avi", b"y" * 21)
    assert set(others(root, record)) == {"a.avi"}


def test_a_video_that_could_not_be_read_is_looked_at_until_it_can(
    root: Path, tmp_path: Path
) -> None:
    (root / "a.avi").unlink()
    (root / "a.avi").mkdir()  # nobody can read it, not even root
    record = tmp_path / "shard-000.json"
    decode(root, record)
    size = (root / "a.avi").stat().st_size
    (root / "a.avi").rmdir()
    (root / "a.avi").write_bytes(b"x" * size)
    assert set(others(root, record)) == {"a.avi"}


def test_a_video_that_is_gone_is_the_indexs_matter(root: Path, record: Path) -> None:
    (root / "a.avi").unlink()
    assert others(root, record) == {}


def test_a_video_that_changes_while_it_is_decoded_ends_the_job(root: Path, record: Path) -> None:
    before = record.read_bytes()
    with pytest.raises(UserError, match=r"a\.avi: changed while"), recorded(VIDEOS, root, record):
        write(root / "a.avi", b"x" * 20)
    assert record.read_bytes() == before


@given(text=st.one_of(st.binary(max_size=40), st.just(b'{"a.avi": {"size": 1}}'), st.just(b"[1]")))
def test_a_record_that_is_none_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.mktemp("record") / "shard-000.json"
    path.write_bytes(text)
    assert read_record(path) == {}


def test_without_a_record_nothing_is_another(root: Path, tmp_path: Path) -> None:
    assert others(root, tmp_path / "none.json") == {}
