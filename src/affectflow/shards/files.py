"""HDF5 files that say what made them, and are whole or refused.

In front of what HDF5 writes stands a block of 512 bytes that HDF5 passes over, with a SHA-256 of
all that follows: a byte that changes later, anywhere in the file, is found before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import h5py

from affectflow.errors import DamagedFileError, UserError
from affectflow.provenance.atomic import UNABLE, atomic, flush
from affectflow.provenance.content import versions

SCHEMA_VERSION = 2
TEXT = h5py.string_dtype("utf-8")
SEAL_BYTES = 512
LOCKING = False
"""HDF5 locks no file: some file systems have no locks, and none are needed where a file has one
writer, under a name of its own, and changes no more once it has readers."""
ROOM_BYTES = 64 * 2**20
"""More than HDF5 keeps in memory of an open file."""
REMEDIES = {
    errno.EACCES: "Whose file is it? Have its permissions, and its folders', mended (chmod u+rX).",
    errno.EPERM: "Whose file is it? Have its permissions, and its folders', mended (chmod u+rX).",
    errno.EMFILE: "Let the process open more files (ulimit -n 1024), and run snakemake again.",
    errno.ENFILE: "This machine has no more files to open: let it do less, or ask who runs it.",
}
ELSE = (
    "Is its file system mounted on this machine, and sound? Else remove it and run snakemake again."
)
SEAL = "affectflow shard, SHA-256 of the bytes after the first 512: "


@contextmanager
def create(path: Path, content: str, made_by: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing; it appears under its name only when it is whole.

    Parameters
    ----------
    path : Path
    content : str
        What the file holds: ``"frames"``, ``"faces"``, ``"embeddings"``.
    made_by : mapping
        What decided the content (settings, digests), stored as JSON in the attributes.
    """
    with atomic(path) as temporary:
        with (
            h5py.File(temporary, "w", userblock_size=SEAL_BYTES, locking=LOCKING) as file,
            _room(temporary.parent),
        ):
            file.attrs["schema_version"] = SCHEMA_VERSION
            file.attrs["content"] = content
            file.attrs["made_by"] = json.dumps(dict(made_by), sort_keys=True)
            file.attrs["versions"] = json.dumps(versions(), sort_keys=True)
            yield file
            file.attrs["complete"] = True
        with temporary.open("r+b") as raw:
            seal = f"{SEAL}{_content_sha256(temporary)}\n".encode()
            raw.write(seal)


@contextmanager
def open_complete(path: Path, content: str) -> Iterator[h5py.File]:
    """Open a file that `create` finished, after checking that no byte of it has changed.

    Raises
    ------
    DamagedFileError
        If it was never finished, or is not as it was written.
    UserError
        If it is missing, can't be read, or is of other content or schema.
    """
    with readable(path):
        if sealed_sha256(path) != _content_sha256(path):
            raise DamagedFileError(path, "is damaged: its bytes are not those that were written")
        file = h5py.File(path, "r", locking=LOCKING)
    with file:
        if not file.attrs.get("complete", False):
            raise DamagedFileError(path, "was never finished")
        found = file.attrs["content"], int(file.attrs["schema_version"])
        if found != (content, SCHEMA_VERSION):
            raise UserError(
                f"{path}: holds {found[0]} of schema {found[1]}, "
                f"not {content} of schema {SCHEMA_VERSION}",
                f"Remove {path} and run snakemake again: it is made anew.",
            )
        yield file


def open_sealed(path: Path, seal: str) -> h5py.File:
    """Open a file that `open_complete` has checked before; the caller closes it.

    Parameters
    ----------
    path : Path
    seal : str
        Its `sealed_sha256` then.

    Raises
    ------
    UserError
        If it can't be read, or is another one now.
    """
    with readable(path):
        if sealed_sha256(path) != seal:
            raise UserError(
                f"{path}: was replaced by another while it was read",
                "Let one snakemake at a time work in this folder, and run it again.",
            )
        return h5py.File(path, "r", locking=LOCKING)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in words for people what keeps a file from being opened or read.

    Raises
    ------
    UserError
        In place of any OSError.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file", "Run snakemake to make it.") from error
    except OSError as error:
        number = error.errno or next(
            (code for code in REMEDIES if os.strerror(code) in str(error)), 0
        )
        why = os.strerror(number) if number else str(error)
        raise UserError(f"{path}: cannot be read: {why}", REMEDIES.get(number, ELSE)) from error


def sealed_sha256(path: Path) -> str:
    """Return the SHA-256 that a file was sealed with (64 hexadecimal digits): its identity.

    Raises
    ------
    DamagedFileError
        If the file has no seal.
    """
    with path.open("rb") as file:
        seal = file.read(SEAL_BYTES).rstrip(b"\0").decode("ascii", errors="replace")
    if not seal.startswith(SEAL):
        raise DamagedFileError(path, "is damaged, or was never finished")
    return seal.removeprefix(SEAL).strip()


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Hold some room on a disk, and give it back.

    A file that HDF5 can't close, because the disk is full, ends the whole process without a word.
    """
    with TemporaryFile(dir=folder) as held:
        _allocate(held.fileno(), ROOM_BYTES)
        yield


def _allocate(descriptor: int, size: int) -> None:
    """Take room on a disk for a file."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno not in UNABLE:
                raise
    while size > 0:
        size -= os.write(descriptor, bytes(2**20))
    flush(descriptor)  # a disk that allocates late says here that it is full


def _content_sha256(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(SEAL_BYTES)
        return hashlib.file_digest(file, "sha256").hexdigest()


def made_by(file: h5py.File) -> dict[str, Any]:
    """Return what `create` was told."""
    return json.loads(file.attrs["made_by"])


def texts(dataset: h5py.Dataset) -> list[str]:
    """Return a text dataset as a list of str."""
    return list(dataset.asstr()[:])
