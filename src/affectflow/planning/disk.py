"""What a study's folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PARTS = ("results", "logs", ".snakemake")


@dataclass(frozen=True)
class Usage:
    """Bytes, and the number of files and folders: both count where files are counted."""

    bytes: float = 0.0
    files: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.bytes + other.bytes, self.files + other.files)


def usage(folder: Path) -> Usage:
    """Return what a study has written into its folder so far; videos there are not counted."""
    size, files = 0, 0
    for part in PARTS:
        for top, folders, names in os.walk(folder / part):
            files += len(folders) + len(names)
            size += sum(size_of(Path(top, name)) for name in names)
        files += (folder / part).is_dir()
    return Usage(size, files)


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 if it is not there (any more)."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def new_entries(folder: Path, files: Iterable[str]) -> int:
    """Return how many files and folders writing `files` (paths from `folder`) would add."""
    wanted = {parent for file in files for parent in (Path(file), *Path(file).parents)}
    return sum(not (folder / path).exists() for path in wanted)
