"""Files that are whole or absent."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from affectflow.errors import UserError

SUFFIX = ".tmp"
PATTERN = re.compile(r"\.\w+\.\d+\.[0-9a-f]{8}\.tmp$")
NAME_BYTES, HOST_BYTES, JOB_BYTES = 60, 30, 12
"""Of a temporary name's parts: together they fit where names have 143 bytes (eCryptfs)."""
TRIAL_BYTES = 2**17
"""What Snakemake writes for itself, in a small study."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
BROKEN = (errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN)
UNABLE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF)
"""How a file system (CIFS, some of FUSE's) says that it does not know what it is asked for."""


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The name carries the host, the job's id and the process, so two writers of one target can't
    touch each other's bytes, and what a killed process of this host left behind is cleared away.

    Raises
    ------
    UserError
        If the folder can't be written, or the disk is full.
    """
    path = Path(path)
    host = shortened(socket.gethostname(), HOST_BYTES)
    job = shortened(os.environ.get("SLURM_JOB_ID", "local"), JOB_BYTES)
    name = shortened(path.name, NAME_BYTES)
    temporary = path.with_name(f".{name}.{host}.{job}.{os.getpid()}.{uuid.uuid4().hex[:8]}{SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path, host)
        # The umask decides whether a group may read; everybody never may.
        temporary.touch(mode=0o640, exist_ok=False)
        mode = temporary.stat().st_mode
    except OSError as error:
        raise UserError(
            f"cannot write in {path.parent}: {error.strerror}",
            "Choose a folder that you may write to (snakemake --directory DIR), or free space.",
        ) from error
    try:
        yield temporary
        if temporary.stat().st_mode != mode:  # some libraries set their own
            with suppress(OSError):  # where modes can't be set, `access.restrict` has told
                temporary.chmod(mode)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except UserError:
        raise
    except Exception as error:
        raise cannot_write(path, error) or error from error
    finally:
        with suppress(OSError):  # a disk that is gone would hide the error that tells of it
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: Exception) -> UserError | None:
    """Return what to tell of an error that comes of a full or lost disk; None of others.

    HDF5 and safetensors tell of some failed writes in words alone; torch and NumPy in words that
    do not say why, so that the disk is asked.
    """
    code, other = getattr(error, "errno", None), getattr(error, "filename", None)
    if isinstance(other, str) and Path(other).parent != path.parent:
        path = Path(other)
    unwritable = why_not_writable(path.parent) if code is None else None
    for known, remedy in (
        (
            FULL,
            "Free some space (snakemake plan says how much is needed), or choose another folder "
            "with snakemake --directory DIR. Then give the same command again.",
        ),
        (
            BROKEN,
            "The disk is gone, read-only or damaged. Give the same command again when it is back, "
            "or choose another folder with snakemake --directory DIR.",
        ),
    ):
        for one in known:
            why = os.strerror(one)
            if code == one or why in str(error) or (code is None and why == unwritable):
                return UserError(f"{path}: {os.strerror(one)}", remedy)
    return None


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many bytes: the name itself, or its beginning and a digest."""
    if len(name.encode()) <= most:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: most - len(digest) - 1].decode(errors="ignore") + "_" + digest


def sweep(folder: Path, spare: Path | None = None) -> None:
    """Remove what killed writers left anywhere below a folder in which nobody writes now.

    A writer clears what was left on its own machine; this clears what was left on others.

    Parameters
    ----------
    folder : Path
    spare : Path, optional
        A folder below it in which somebody may be writing.
    """
    for left in folder.rglob(f".*{SUFFIX}"):
        if PATTERN.search(left.name) and not (spare and left.is_relative_to(spare)):
            left.unlink(missing_ok=True)


def _clear(path: Path, host: str) -> None:
    name = shortened(path.name, NAME_BYTES)
    for left in path.parent.glob(f".{glob.escape(name)}.{glob.escape(host)}.*{SUFFIX}"):
        process = int(left.name.split(".")[-3])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except PermissionError:
            continue  # somebody else's, and alive


def flush(file: Path | int) -> None:
    """Force a file's (or folder's) bytes to the disk, where the file system can be told to.

    Parameters
    ----------
    file : Path or int
        Its path, or the descriptor that it is open with.
    """
    if isinstance(file, int):
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno not in UNABLE:
                raise
        return
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written to and not be listed
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def why_not_writable(folder: Path) -> str | None:
    """Return why a folder can't be written to, in words; None if it can.

    A file without a name is written into it: neither permissions nor free space tell of a right
    that a file server does not give to root, or of a full quota.
    """
    try:
        with TemporaryFile(dir=folder) as trial:
            trial.write(bytes(TRIAL_BYTES))
            trial.flush()
            flush(trial.fileno())
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None


def write_text(path: Path | str, text: str) -> None:
    """Write a text file atomically (UTF-8, LF)."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
