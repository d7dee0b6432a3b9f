"""Folders of a data set as they are on disk, whoever copied them there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from affectflow.dataset.droppings import is_dropping, is_hidden
from affectflow.errors import UserError

FILE, FOLDER, LINK, OTHER = "a file", "a folder", "a broken link", "a pipe, socket or device"


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; one that nobody may look at, or of no path, is none."""
    with suppress(OSError, ValueError):
        return path.is_dir()
    return False


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what people put into a folder, by name, without what systems left there.

    Raises
    ------
    UserError
        If the folder can't be read.
    """
    try:
        with os.scandir(folder) as scan:
            names = [entry for entry in scan if not is_dropping(entry.name)]
    except OSError as error:
        raise UserError(
            f"dataset: the folder {shown(str(folder))} can't be read: {error.strerror}",
            "Check its permissions, or that its disk is there.",
        ) from error
    return sorted(names, key=lambda entry: entry.name)


def child(folder: Path, name: str) -> Path:
    """Return the file or folder of a name, or the only one that differs from it in capitals.

    Where there is none, the path that it should have. Of several, the only one that isn't empty.

    Raises
    ------
    UserError
        If several have content, or the folder can't be read.
    """
    alike = [entry for entry in entries(folder) if entry.name.casefold() == name.casefold()]
    filled = [entry for entry in alike if _has_content(entry)] or alike[:1]
    if len(filled) > 1:
        names = " and ".join(entry.name for entry in filled)
        raise UserError(
            f"dataset: {shown(str(folder))} has both {names}",
            f"Put what belongs together into one, {name}, and remove the other.",
        )
    return Path(filled[0].path) if filled else folder / name


def _has_content(entry: os.DirEntry[str]) -> bool:
    try:
        return bool(entries(Path(entry.path))) if entry.is_dir() else entry.stat().st_size > 0
    except OSError:
        return False


def kind_of(entry: os.DirEntry[str]) -> str:
    """Return what an entry is, links followed: `FILE`, `FOLDER`, `LINK` or `OTHER`."""
    try:
        if entry.is_dir() or entry.is_file():
            return FOLDER if entry.is_dir() else FILE
    except OSError:  # links in a ring
        return LINK
    return LINK if entry.is_symlink() else OTHER


def why_no_video(entry: os.DirEntry[str], path: str) -> str:
    """Return why an entry with a video's name is none, in words for the audit; empty if it is one.

    Parameters
    ----------
    entry : os.DirEntry
    path : str
        How the audit names it.
    """
    if (kind := kind_of(entry)) != FILE:
        return f"{shown(path)}: is {kind}"
    if is_hidden(entry.name):
        return f"{path}: is hidden: rename it if it is a clip"
    if not is_text(path):
        return f"{shown(path)}: its name is not UTF-8 text: rename it, such as with convmv"
    return ""


def is_text(name: str) -> bool:
    """Return whether a name is text, which tables and other files can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(name: str) -> str:
    r"""Return a name for people, with bytes that are no text as ``\xeb``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
