"""How the image of an address is named in a folder of downloaded images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from affectflow.teacher.faces import SUFFIXES

NAME_LENGTH = 20


def image_name(url: str) -> str:
    """Return the name of an address's image: 20 hex digits of its SHA-256, and a suffix.

    The suffix is the address's own where that is an image's, else ``.jpg``; readers look at the
    content alone.
    """
    suffix = PurePosixPath(last_part(url)).suffix.lower()
    suffix = suffix if suffix in SUFFIXES else ".jpg"
    return hashlib.sha256(url.encode()).hexdigest()[:NAME_LENGTH] + suffix


def last_part(url: str) -> str:
    """Return the last part of an address's path, "" where that is no plain file name.

    It is taken as it stands: ``%2e%2e%2f`` stays what it is, and hidden files are not looked for.
    """
    try:
        name = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""
    odd = name.startswith(".") or any(c in name for c in "\\\0\r\n") or len(name) > 255
    return "" if odd else name


class ImageFolder:
    """A folder of downloaded images.

    An image is looked for by `image_name`, then by the last part of its address, which is the
    name that other tools give. A last part that two addresses share tells neither's image.

    Parameters
    ----------
    folder : Path
        It is listed once. A folder that is not there is an empty one.
    urls : iterable of str
        All addresses that the folder is for.
    """

    def __init__(self, folder: Path, urls: Iterable[str]) -> None:
        self.folder = folder
        self._names = _files(folder)
        self._urls: dict[str, str | None] = {}
        for url in urls:
            name = last_part(url)
            if self._urls.setdefault(name, url) != url:
                self._urls[name] = None

    def find(self, url: str) -> Path | None:
        """Return the file of an address's image, or None."""
        name = image_name(url)
        if name in self._names:
            return self.folder / name
        name = last_part(url)
        if name and name in self._names and self._urls.get(name) == url:
            return self.folder / name
        return None

    def is_ambiguous(self, url: str) -> bool:
        """Return whether a file has the address's last part, but may be another's image."""
        name = last_part(url)
        return name in self._names and self._urls.get(name) is None


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except FileNotFoundError:
        return set()
