"""Many shards, of which few are open at a time: a process may open 256 files, a study has more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from affectflow.shards.files import open_sealed, readable

MOST = 16
"""Shards that are open at once."""


class Shards:
    """Shards that were checked, opened one by one when they are read.

    HDF5's own way to read several files as one, a virtual dataset, takes one that it can't open
    for one that holds fill values. Here each is opened by name, must be the one that was checked,
    and is named where it can't be read.

    Parameters
    ----------
    paths : sequence of Path
    seals : sequence of str
        Their SHA-256, of `affectflow.shards.files.sealed_sha256`.
    most : int
        How many may be open at once; that which was read longest ago is closed.
    """

    def __init__(self, paths: Sequence[Path], seals: Sequence[str], most: int = MOST) -> None:
        self.paths, self.seals, self.most = list(paths), list(seals), most
        self._open: OrderedDict[int, h5py.File] = OrderedDict()

    def __enter__(self) -> Shards:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def read(self, shard: int, name: str, place: Any) -> Any:
        """Return what a dataset of a shard holds at a place.

        Parameters
        ----------
        shard : int
            Which of `paths`.
        name : str
            The dataset.
        place : index
            As h5py takes it: rows, if an array, increase.

        Raises
        ------
        UserError
            If the shard can't be read, or is not the one that was checked any more.
        """
        with readable(self.paths[shard]):
            return self._file(shard)[name][place]

    def _file(self, shard: int) -> h5py.File:
        if shard not in self._open:
            while len(self._open) >= self.most:
                self._open.popitem(last=False)[1].close()
            self._open[shard] = open_sealed(self.paths[shard], self.seals[shard])
        self._open.move_to_end(shard)
        return self._open[shard]


class JoinedRows:
    """A dataset of several shards, row after row, to be indexed by rows as an array is.

    Rows may be asked for in any order, and more than once. What a shard's rows are narrower than
    the widest is zeros.

    Parameters
    ----------
    shards : Shards
    name : str
        The dataset in each of them, (rows, frames, D).
    shapes : sequence of tuple of int
        Its shape in each.
    dtype : numpy.dtype
    file : h5py.File
        The file that joins them.
    """

    def __init__(
        self,
        shards: Shards,
        name: str,
        shapes: Sequence[tuple[int, ...]],
        dtype: np.dtype,
        file: h5py.File,
    ) -> None:
        self.shards, self.name, self.dtype, self.file = shards, name, dtype, file
        self.start = np.cumsum([0, *(shape[0] for shape in shapes)])
        width, dim = (max(shape[axis] for shape in shapes) for axis in (1, 2))
        self.shape = int(self.start[-1]), width, dim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray | Sequence[int] | int) -> np.ndarray:
        """Return rows (n, frames, D), or one (frames, D).

        Raises
        ------
        UserError
            If a shard that holds one of them can't be read.
        """
        wanted = np.arange(len(self))[rows]
        if wanted.ndim == 0:
            return self[wanted[None]][0]
        block = np.zeros((len(wanted), *self.shape[1:]), self.dtype)
        shard_of = np.searchsorted(self.start, wanted, side="right") - 1
        for shard in np.unique(shard_of).tolist():
            places = np.flatnonzero(shard_of == shard)
            read = partial(self.shards.read, shard, self.name)
            values = rows_of(read, wanted[places] - self.start[shard])
            block[places, : values.shape[1]] = values
        return block


def rows_of(read: Callable[[Any], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return rows of a dataset that takes increasing ones only, in any order and more than once.

    Parameters
    ----------
    read : callable
        From rows, a slice or (n,) int64 increasing, to their values.
    rows : numpy.ndarray
        (n,) int64.
    """
    once, place = np.unique(rows, return_inverse=True)
    whole = len(once) > 0 and once[-1] - once[0] + 1 == len(once)
    values = read(slice(int(once[0]), int(once[-1]) + 1) if whole else once)
    return values if np.array_equal(once, rows) else values[place]
