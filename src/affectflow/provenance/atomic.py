"""Files that are whole or absent."""

from __future__ import annotations

import errno
import glob
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from affectflow.errors import UserError

SUFFIX = ".tmp"
PATTERN = re.compile(r"\.\w+\.\d+\.[0-9a-f]{8}\.tmp$")
FULL = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)]


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
    host, job = socket.gethostname(), os.environ.get("SLURM_JOB_ID", "local")
    name = f".{path.name}.{host}.{job}.{os.getpid()}.{uuid.uuid4().hex[:8]}{SUFFIX}"
    temporary = path.with_name(name)
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
        temporary.chmod(mode)  # some libraries set their own
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except (OSError, RuntimeError) as error:
        # HDF5 tells of some failed writes in words alone.
        full = [words for words in FULL if words in str(error)]
        if not full:
            raise
        raise UserError(
            f"{path}: {full[0]}",
            "Free some space (snakemake plan says how much is needed), or choose another folder "
            "with snakemake --directory DIR. Then give the same command again.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


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
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(host)}.*{SUFFIX}"):
        process = int(left.name.split(".")[-3])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except PermissionError:
            continue  # somebody else's, and alive


def flush(path: Path) -> None:
    """Force a file's (or folder's) bytes to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path | str, text: str) -> None:
    """Write a text file atomically (UTF-8, LF)."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
