"""What was in the videos when they were decoded: how a replaced one is found by planning.

A shard's job records each video's size, time of modification and SHA-256. Planning reads a video
again only where its time has moved: for a copy, or a file that was touched, the content is the
same and nothing follows; else the digest of the shard's videos changes, and it is run again.

Snakemake compares that digest with the one a shard was planned with, when no content was known
yet. So it names a content only where that differs from the first one seen under the same name and
size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from affectflow.errors import UserError
from affectflow.provenance.atomic import write_text
from affectflow.provenance.content import sha256

THREADS = 8
"""Videos that planning reads at once: the disk, or the network, is what it waits for."""


@dataclass(frozen=True)
class Content:
    """What was in a video.

    Attributes
    ----------
    size : int
        Bytes.
    modified : int
        Time of modification, ns.
    sha256 : str
        Empty where the video could not be read.
    first : str
        The `sha256` that was first seen under this name and size.
    """

    size: int
    modified: int
    sha256: str
    first: str


def read_record(path: Path) -> dict[str, Content]:
    """Return path to content, as a shard's job recorded it; nothing where there is no record."""
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        return {name: Content(**own) for name, own in text.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_record(path: Path, contents: Mapping[str, Content]) -> None:
    """Write what `read_record` reads."""
    write_text(path, json.dumps({name: asdict(own) for name, own in contents.items()}, indent=0))


@contextmanager
def recorded(videos: Sequence[tuple[str, str]], root: Path, record: Path | None) -> Iterator[None]:
    """Record what is in videos that are decoded meanwhile.

    Parameters
    ----------
    videos : sequence of (str, str)
        Clip ids, and paths from `root`.
    root : Path
    record : Path or None
        The file; None to record nothing.

    Raises
    ------
    UserError
        If a video is replaced meanwhile.
    """
    if record is None:
        yield
        return
    before = read_record(record)
    contents = {path: _look(root / path, before.get(path)) for _, path in videos}
    yield
    for path, content in contents.items():
        if _state(root / path) != (content.size, content.modified):
            raise UserError(
                f"{root / path}: changed while it was read",
                "Run again once nobody writes the file.",
            )
    write_record(record, contents)


def look_again(root: Path, record: Mapping[str, Content]) -> dict[str, Content]:
    """Return the contents as they are now; a video is read only if its time moved, not its size.

    Parameters
    ----------
    root : Path
    record : mapping
        Of `read_record`. A video that is gone, or of another size, keeps what was recorded: its
        name or size tells that it is another.
    """

    def now(item: tuple[str, Content]) -> Content:
        path, content = item
        size, modified = _state(root / path)
        if size != content.size or (modified == content.modified and content.sha256):
            return content
        current = _sha256(root / path)
        # One that can't be read now is the job's matter, if there is one.
        return replace(content, modified=modified, sha256=current) if current else content

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(record, pool.map(now, record.items()), strict=True))


def replaced_since(
    record: Path, root: Path, sizes: Mapping[str, int], keep: bool
) -> dict[str, str]:
    """Return the videos of a shard that were replaced by others since they were first decoded.

    Parameters
    ----------
    record : Path
        Of `recorded`.
    root : Path
    sizes : mapping
        The videos' paths and bytes, as they are now.
    keep : bool
        Whether to write new times of modification into the record, so that those videos are not
        read again.

    Returns
    -------
    dict
        Path to SHA-256, of the videos that are not what was first seen under their name and size.
    """
    before = read_record(record)
    now = look_again(root, before)
    if keep and now != before:
        write_record(record, now)
    return {
        path: content.sha256
        for path, content in now.items()
        if content.sha256 != content.first and sizes.get(path) == content.size
    }


def _look(path: Path, before: Content | None) -> Content:
    size, modified = _state(path)
    content = _sha256(path)
    known = before is not None and before.size == size
    return Content(size, modified, content, before.first if before and known else content)


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _sha256(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:
        return ""
