"""Arrays with a row per clip that grow as clips come, also where later clips are longer."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from affectflow.shards.files import TEXT

BYTES = h5py.vlen_dtype(np.uint8)
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


class ClipRows:
    """Append clips to datasets of shape (clips, frames, ...) and (clips,).

    Parameters
    ----------
    file : h5py.File
    frames : int
        Frames per clip to begin with; a longer clip widens every array.
    columns : dict
        Name -> (shape of one frame, dtype, fill value) of the per-frame arrays.
    texts : tuple of str
        Names of the per-clip texts.
    packed : tuple of str
        Arrays that are compressed: of numbers only, as HDF5 packs no bytes of varying length.
    """

    def __init__(
        self,
        file: h5py.File,
        frames: int,
        columns: dict[str, tuple[tuple[int, ...], Any, Any]],
        texts: tuple[str, ...] = ("clip_id",),
        packed: tuple[str, ...] = (),
    ) -> None:
        self.columns = {
            name: file.create_dataset(
                name,
                shape=(0, frames, *shape),
                maxshape=(None, None, *shape),
                chunks=(1, max(frames, 1), *shape),
                dtype=dtype,
                fillvalue=fill,
                **(PACKED if name in packed else {}),
            )
            for name, (shape, dtype, fill) in columns.items()
        }
        self.texts = {
            name: file.create_dataset(name, shape=(0,), maxshape=(None,), dtype=TEXT)
            for name in texts
        }

    def append(self, texts: dict[str, str], values: dict[str, Any]) -> None:
        """Add a clip: its texts, and per column an array (frames of the clip, ...).

        Bytes may come from an iterator, one item at a time; None leaves a frame's bytes empty.
        """
        for name, dataset in self.texts.items():
            dataset.resize(len(dataset) + 1, axis=0)
            dataset[-1] = texts[name]
        frames = max(len(value) for value in values.values() if isinstance(value, np.ndarray))
        for name, dataset in self.columns.items():
            row = len(dataset)
            dataset.resize(row + 1, axis=0)
            if frames > dataset.shape[1]:
                dataset.resize(frames, axis=1)
            if dataset.dtype == BYTES:
                for i, item in enumerate(values[name]):
                    if item is not None:
                        dataset[row, i] = item
            elif frames:
                dataset[row, :frames] = values[name]
