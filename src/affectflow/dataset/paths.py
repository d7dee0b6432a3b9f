"""The file that a table's cell names, however another person or system wrote its path."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from affectflow.dataset.matching import FORMS, QUOTES
from affectflow.dataset.records import VIDEO_SUFFIXES

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
DRIVE = re.compile(r"[a-z]:/", re.IGNORECASE)


def root_of(settings: Mapping[str, Any]) -> Path:
    """Return the folder that videos are named from: a manifest's own, where none is given.

    Parameters
    ----------
    settings : mapping
        ``dataset`` of the config.
    """
    root = settings.get("root") or Path(settings.get("clips") or ".").parent
    return Path(root).expanduser()


def inside(cell: str, top: Path) -> str | None:
    """Return a cell's path from the root, with forward slashes; None where it leads out of it.

    By name alone: links within the root may lead anywhere. A relative path that is a file is
    returned as it is.

    Parameters
    ----------
    cell : str
        A path from the root, or a whole one; also with backslashes, ``~``, or as a ``file://``
        address.
    top : Path
        The root.
    """
    stays = _stays(cell)
    if stays and is_file(top / cell):
        return cell
    text = cell.strip(QUOTES).strip()
    if text.lower().startswith("file://"):
        text = unquote(urlsplit(text).path)
        text = text[1:] if DRIVE.match(text[1:]) else text
    elif ADDRESS.match(text):
        return None
    text = text.replace("\\", "/")
    with suppress(RuntimeError):  # ~NAME of nobody
        text = str(Path(text).expanduser()) if text.startswith("~") else text
    if text.startswith("/"):
        for whole, root in ((text, top.absolute()), (os.path.realpath(text), top.resolve())):
            path = PurePosixPath(os.path.normpath(whole))
            if path.is_relative_to(os.path.normpath(root)):
                return str(path.relative_to(os.path.normpath(root)))
        return None
    return os.path.normpath(text) if _stays(text) and not DRIVE.match(text) else None


def find_files(top: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the files that paths name: path -> path of the file, without those that name none.

    A path that is no file names the only one that differs from it in capitals, in how accents are
    encoded, in ``%20`` for a blank, in the video's extension, or as a spreadsheet rewrites numbers
    (`affectflow.dataset.matching.FORMS`), unless another path names that file, too.

    Parameters
    ----------
    top : Path
        What paths start from.
    paths : iterable of str
        As from `inside`.
    """
    files = _Files(top)
    found = {path: path for path in dict.fromkeys(paths) if is_file(top / path)}
    others = {path: files.only_like(path) for path in dict.fromkeys(paths) if path not in found}
    named = Counter([*map(os.path.normpath, found), *filter(None, others.values())])
    return found | {path: file for path, file in others.items() if file and named[file] == 1}


def is_file(path: Path) -> bool:
    """Return whether a path is a file; one that is too long for any is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _stays(path: str) -> bool:
    steps = PurePosixPath(os.path.normpath(path))
    return not steps.is_absolute() and ".." not in steps.parts


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class _Files:
    """The files under a folder; each folder is listed once."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.listed: dict[PurePosixPath, list[str]] = {}

    def only_like(self, path: str) -> str | None:
        for text in dict.fromkeys((path, unquote(path))):
            *folders, name = PurePosixPath(os.path.normpath(text)).parts or ("",)
            where = PurePosixPath()
            for step in folders:
                match = self._only(where, step)
                if match is None:
                    break
                where /= match
            else:
                match = self._only(where, name) or self._rewritten(where, name)
                if match and is_file(self.top / where / match):
                    return str(where / match)
        return None

    def _names(self, folder: PurePosixPath) -> list[str]:
        if folder not in self.listed:
            try:
                self.listed[folder] = [path.name for path in (self.top / folder).iterdir()]
            except OSError:
                self.listed[folder] = []
        return self.listed[folder]

    def _only(self, folder: PurePosixPath, name: str) -> str | None:
        names = self._names(folder)
        if name in names:
            return name
        alike = [other for other in names if _alike(other) == _alike(name)]
        return alike[0] if len(alike) == 1 else None

    def _rewritten(self, folder: PurePosixPath, name: str) -> str | None:
        """Return the only video that a name without, or with another, extension fits."""
        videos = [
            x for x in self._names(folder) if PurePosixPath(x).suffix.lower() in VIDEO_SUFFIXES
        ]
        for form in FORMS:
            alike = [other for other in videos if form(other) == form(name)]
            if alike:
                return alike[0] if len(alike) == 1 else None
        return None
