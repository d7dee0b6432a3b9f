"""How the image of an address is named in a folder of downloaded images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from affectflow.teacher.faces import SUFFIXES

NAME_LENGTH = 20
ODD = frozenset("\\\0\r\n")


def image_name(url: str) -> str:
    """Return the name of an address's image: 20 hex digits of its SHA-256, and a suffix.

    The suffix is the address's own where that is an image's, else ``.jpg``; readers look at the
    content alone.
    """
    suffix = "." + last_part(url).rpartition(".")[2].lower()
    suffix = suffix if suffix in SUFFIXES else ".jpg"
    return hashlib.sha256(url.encode()).hexdigest()[:NAME_LENGTH] + suffix


def last_part(url: str) -> str:
    """Return the last part of an address's path, "" where that is no plain file name.

    It is taken as it stands: ``%2e%2e%2f`` stays what it is, and hidden files are not looked for.
    """
    path = url.partition("://")[2].partition("#")[0].partition("?")[0]
    name = path.rpartition("/")[2] if "/" in path else ""
    odd = name.startswith(".") or len(name) > 255 or not ODD.isdisjoint(name)
    return "" if odd else name


class ImageFolder:
    """A folder of downloaded images.

    An image is looked for by `image_name`, then by the last part of its address, which is the
    name that other tools give. A last part that two addresses share tells neither's image.

    Parameters
    ----------
    folder : Path
        It is listed once. A folder that is not there is an empty one.
    urls : sequence of str
        All addresses that the folder is for.
    """

    def __init__(self, folder: Path, urls: Sequence[str]) -> None:
        self.folder = folder
        self._names = _files(folder)
        self._urls = urls

    @cached_property
    def _whose(self) -> dict[str, str | None]:
        """Last part -> its address; None where it has several."""
        whose: dict[str, str | None] = {}
        for url in self._urls:
            name = last_part(url)
            if whose.setdefault(name, url) != url:
                whose[name] = None
        return whose

    def find(self, url: str) -> Path | None:
        """Return the file of an address's image, or None."""
        name = image_name(url)
        if name in self._names:
            return self.folder / name
        name = last_part(url)
        if name and name in self._names and self._whose.get(name) == url:
            return self.folder / name
        return None

    def is_ambiguous(self, url: str) -> bool:
        """Return whether a file has the address's last part, but may be another's image."""
        name = last_part(url)
        return name in self._names and self._whose.get(name) is None


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except FileNotFoundError:
        return set()
