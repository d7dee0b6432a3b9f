"""Who may see a study: its owner, or a group besides. Imports nothing heavy."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from affectflow.errors import UserError

OTHERS, GROUPS = 0o007, 0o077
"""The bits of a mode that let others in; and those that let in a group as well."""


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


def restrict(folders: Iterable[Path], group: int | None, required: bool = True) -> list[str]:
    """Make folders, and keep everybody else out of them.

    A folder is 0700, or 2750 for a group, whose new files are then the group's too. Where that
    changes, what already lies in it is changed along. Whether it did is looked up: some file
    systems refuse a mode or a group, and some take it and forget it.

    Parameters
    ----------
    folders : iterable of Path
    group : int or None
    required : bool
        Whether to go no further where others can't be kept out.

    Returns
    -------
    list of str
        What could not be had, in words: a line for each kind of problem, not for each folder.

    Raises
    ------
    UserError
        If a folder can't be made, or others can look into it and privacy is required.
    """
    folder_mode = 0o700 if group is None else 0o2750
    open_to_all, closed_to_group = [], []
    for given in folders:
        try:
            given.mkdir(parents=True, exist_ok=True)
            folder = given.resolve()  # it may be a link to another disk
            now = folder.stat()
            if stat.S_IMODE(now.st_mode) != folder_mode or group not in (None, now.st_gid):
                _close(folder, folder_mode, group)
            now = folder.stat()
        except OSError as error:
            raise UserError(
                f"{given}: cannot be made or looked into: {error.strerror}",
                "Choose another folder with snakemake --directory DIR, or mend its permissions.",
            ) from error
        mode = stat.S_IMODE(now.st_mode)
        if mode & (OTHERS if group == now.st_gid else GROUPS):
            open_to_all.append(f"{folder} (mode {mode:04o})")
        elif group is not None and (now.st_gid != group or mode & 0o2050 != 0o2050):
            closed_to_group.append(f"{folder} (mode {mode:04o}, group {now.st_gid})")
    problems = []
    if open_to_all:
        problems.append(
            f"others can't be kept out of {', '.join(open_to_all)}: the file system, or the "
            "folder's owner, allows no other mode"
        )
        if required:
            raise UserError(
                problems[0],
                "Faces are personal data. Choose a folder on another file system with "
                "snakemake --directory DIR; or, if all who can reach this one may see them, "
                "set private: preferred in the config.",
            )
    if closed_to_group:
        problems.append(
            f"the config's group may not be able to read what lies in {', '.join(closed_to_group)}"
        )
    return problems


def _close(folder: Path, folder_mode: int, group: int | None) -> None:
    for top, _, files in os.walk(folder):
        _set(Path(top), folder_mode, group)
        for name in files:
            path = Path(top, name)
            with suppress(FileNotFoundError):  # somebody's who goes on writing there
                # Who may execute stays as it was.
                execute = path.lstat().st_mode & (0o100 if group is None else 0o110)
                _set(path, (0o600 if group is None else 0o640) | execute, group)


def _set(path: Path, mode: int, group: int | None) -> None:
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        return
    # Whether it came to pass is seen afterwards, by what the file system says.
    if group is not None:
        with suppress(OSError):
            os.chown(path, -1, group)
    with suppress(OSError):
        path.chmod(mode)
