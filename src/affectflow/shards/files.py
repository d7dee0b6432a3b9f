"""HDF5 files that say what made them, and are whole or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic
from affectflow.provenance.content import versions

SCHEMA_VERSION = 1
TEXT = h5py.string_dtype("utf-8")


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
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["content"] = content
        file.attrs["made_by"] = json.dumps(dict(made_by), sort_keys=True)
        file.attrs["versions"] = json.dumps(versions(), sort_keys=True)
        yield file
        file.attrs["complete"] = True


@contextmanager
def open_complete(path: Path, content: str) -> Iterator[h5py.File]:
    """Open a file that `create` finished.

    Raises
    ------
    UserError
        If it is missing, not HDF5, of other content or schema, or was never finished.
    """
    remedy = f"Remove {path} and run snakemake again: it is made anew."
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file", "Run snakemake to make it.") from error
    except OSError as error:
        raise UserError(f"{path}: is damaged or not HDF5 ({error})", remedy) from error
    with file:
        if not file.attrs.get("complete", False):
            raise UserError(f"{path}: was never finished", remedy)
        found = file.attrs["content"], int(file.attrs["schema_version"])
        if found != (content, SCHEMA_VERSION):
            raise UserError(
                f"{path}: holds {found[0]} of schema {found[1]}, "
                f"not {content} of schema {SCHEMA_VERSION}",
                remedy,
            )
        yield file


def made_by(file: h5py.File) -> dict[str, Any]:
    """Return what `create` was told."""
    return json.loads(file.attrs["made_by"])


def texts(dataset: h5py.Dataset) -> list[str]:
    """Return a text dataset as a list of str."""
    return list(dataset.asstr()[:])
