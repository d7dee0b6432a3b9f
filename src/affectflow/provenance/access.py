"""Who may see a study: its owner, or a group besides. Imports nothing heavy."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from affectflow.errors import UserError


def group_id(group: str | None) -> int | None:
    """Return the number of a Unix group that this user may give files to; None for None.

    Raises
    ------
    UserError
        If there is no such group, or this user is not in it.
    """
    if group is None:
        return None
    mine = {*os.getgroups(), os.getegid()}
    names = sorted({entry.gr_name for entry in grp.getgrall() if entry.gr_gid in mine})
    try:
        known = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UserError(
            f"config: group: there is no group '{group}' on this machine",
            f"You are in: {', '.join(names)}. null keeps the results to yourself.",
        ) from None
    if known not in mine and os.geteuid() != 0:
        raise UserError(
            f"config: group: you are not in the group '{group}'",
            f"You are in: {', '.join(names)}. null keeps the results to yourself.",
        )
    return known


def umask(group: int | None) -> int:
    """Return the mask under which new files are the owner's alone, or the group's to read."""
    return 0o077 if group is None else 0o027


def restrict(folders: Iterable[Path], group: int | None) -> None:
    """Make folders, and keep everybody else out of them.

    A folder is 0700, or 2750 for a group, whose new files are then the group's too. Where that
    changes, what already lies in it is changed along.
    """
    folder_mode = 0o700 if group is None else 0o2750
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()  # it may be a link to another disk
        now = folder.stat()
        if stat.S_IMODE(now.st_mode) != folder_mode or group not in (None, now.st_gid):
            for top, _, files in os.walk(folder):
                _set(Path(top), folder_mode, group)
                for name in files:
                    path = Path(top, name)
                    # Who may execute stays as it was.
                    execute = path.lstat().st_mode & (0o100 if group is None else 0o110)
                    _set(path, (0o600 if group is None else 0o640) | execute, group)


def _set(path: Path, mode: int, group: int | None) -> None:
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        return
    if group is not None:
        os.chown(path, -1, group)
    path.chmod(mode)
