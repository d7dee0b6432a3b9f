"""Folders that nobody else can look into."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from affectflow.errors import UserError
from affectflow.provenance import access


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that somebody made before, open to all."""
    folder = tmp_path / "results"
    (folder / "faces").mkdir(parents=True)
    (folder / "faces" / "shard.h5").touch()
    (folder / "run.sh").touch()
    for path in (folder, folder / "faces", folder / "run.sh"):
        path.chmod(0o777)
    (folder / "faces" / "shard.h5").chmod(0o666)
    return folder


def test_a_folder_is_its_owners(open_folder: Path) -> None:
    access.restrict([open_folder, open_folder.with_name("logs")], None)
    assert mode(open_folder) == mode(open_folder.with_name("logs")) == 0o700
    assert mode(open_folder / "faces") == 0o700
    assert mode(open_folder / "faces" / "shard.h5") == 0o600
    assert mode(open_folder / "run.sh") == 0o700


def test_a_folder_is_a_groups(open_folder: Path) -> None:
    group = os.getegid()
    access.restrict([open_folder], group)
    assert mode(open_folder) == 0o2750, "what is made in it is the group's too"
    assert mode(open_folder / "faces" / "shard.h5") == 0o640
    assert (open_folder / "faces" / "shard.h5").stat().st_gid == group


def test_a_folder_that_was_a_groups_is_closed_again(open_folder: Path) -> None:
    access.restrict([open_folder], os.getegid())
    access.restrict([open_folder], None)
    assert mode(open_folder / "faces" / "shard.h5") == 0o600


def test_a_link_is_not_followed(open_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "videos"
    other.mkdir(mode=0o755)
    (open_folder / "link").symlink_to(other)
    access.restrict([open_folder], None)
    assert mode(other) == 0o755


def test_a_folder_that_is_a_link_is_closed_where_it_leads(
    open_folder: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(open_folder)
    access.restrict([link], None)
    assert mode(open_folder) == 0o700
    assert mode(open_folder / "faces") == 0o700


def test_unknown_groups_are_told() -> None:
    with pytest.raises(UserError, match="no group 'nobody-has-this'"):
        access.group_id("nobody-has-this")
    mine = grp.getgrgid(os.getegid()).gr_name
    assert access.group_id(mine) == os.getegid()
    assert access.group_id(None) is None


@pytest.mark.parametrize(("group", "expected"), [(None, 0o600), (1, 0o640)])
def test_new_files(tmp_path: Path, group: int | None, expected: int) -> None:
    before = os.umask(access.umask(group))
    try:
        (tmp_path / "new").touch()
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == expected
