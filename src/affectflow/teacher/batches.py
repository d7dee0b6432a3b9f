"""Which faces a step looks at, and how they get to the device in time.

Nothing here has a state: the order of an epoch follows from the seed and the epoch's number, so a
run goes on at any step, and any number of processes shares the same global batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affectflow.errors import UserError
from affectflow.teacher.losses import margins

TRIPLET_ORDER, EXPRESSION_ORDER, FLIPS = range(3)
"""Streams of random numbers."""

AHEAD = 4
"""Steps whose faces are read while the device works on an earlier one."""

Read = Callable[[Any, int], NDArray[np.uint8]]
"""From a face and a side in pixels to (size, size, 3) uint8 RGB."""


class Triplets(Protocol):
    """FEC's triplets, as `affectflow.teacher.fec` reads them."""

    @property
    def faces(self) -> Sequence[Any]:
        """The faces."""

    @property
    def index(self) -> NDArray[np.int64]:
        """(n, 3): places in `faces`."""

    @property
    def odd(self) -> NDArray[np.int64]:
        """(n,): which of the three, 0 to 2, is in no most similar pair."""

    @property
    def kind(self) -> NDArray[np.str_]:
        """(n,): keys of `affectflow.teacher.losses.MARGINS`."""


class Expressions(Protocol):
    """AffectNet's images, as `affectflow.teacher.affectnet` reads them."""

    @property
    def faces(self) -> Sequence[Any]:
        """The faces."""

    @property
    def expression(self) -> NDArray[np.int64]:
        """(n,): 0 to 7."""


@dataclass(frozen=True)
class Step:
    """What one process does in a step, and how much all of them do.

    Attributes
    ----------
    triplets, expressions : numpy.ndarray
        (t,), (a,) int64: places of this process's triplets and images. t may be 0.
    flip : numpy.ndarray
        (3 t + a,) bool: which of their faces are mirrored.
    all_triplets : int
    all_expressions : numpy.ndarray
        (A,) int64: the places of all processes' images.
    """

    triplets: NDArray[np.int64]
    expressions: NDArray[np.int64]
    flip: NDArray[np.bool_]
    all_triplets: int
    all_expressions: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """A step's tensors, on the device; `Step` says their sizes.

    Attributes
    ----------
    images : torch.Tensor
        (3 t + a, size, size, 3) uint8 RGB.
    odd, margin : torch.Tensor
        (t,) int64 and float32.
    expression, all_expressions : torch.Tensor
        (a,), (A,) int64.
    all_triplets : int
    """

    images: Tensor
    odd: Tensor
    margin: Tensor
    expression: Tensor
    all_expressions: Tensor
    all_triplets: int


def steps_of(triplets: int, batch_size: int) -> int:
    """Return the steps of an epoch: the last batch may be short, none is dropped."""
    return -(-triplets // batch_size)


def plan(
    triplets: int,
    expressions: int,
    *,
    epoch: int,
    batch_size: int,
    seed: int,
    flip: bool = False,
    first: int = 0,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Step]:
    """Yield the steps of an epoch.

    Every triplet comes once, in an order of the epoch's own. AffectNet's images come in rounds,
    each with its own order, that go on from epoch to epoch; a step has `batch_size` of them, also
    beside fewer triplets at the end of an epoch.

    Parameters
    ----------
    triplets, expressions : int
        How many there are, each at least 1.
    epoch : int
        From 1.
    batch_size : int
        Of all processes together.
    seed : int
    flip : bool
    first : int
        The step to begin with, from 0.
    rank, world : int
        This process, from 0, and how many there are. Each takes a run of the batch; their lengths
        differ by 1 at most.
    """
    order = np.random.default_rng([seed, TRIPLET_ORDER, epoch]).permutation(triplets)
    steps = steps_of(triplets, batch_size)
    stream = _Rounds(expressions, seed)
    for step in range(first, steps):
        ours = order[step * batch_size : (step + 1) * batch_size]
        start = ((epoch - 1) * steps + step) * batch_size
        theirs = stream.take(start, batch_size)
        mirrored = np.zeros(3 * len(ours) + len(theirs), bool)
        if flip:
            generator = np.random.default_rng([seed, FLIPS, epoch, step])
            mirrored = generator.random(len(mirrored)) < 0.5
        faces, images = mirrored[: 3 * len(ours)].reshape(-1, 3), mirrored[3 * len(ours) :]
        own = np.concatenate([_part(faces, rank, world).ravel(), _part(images, rank, world)])
        yield Step(_part(ours, rank, world), _part(theirs, rank, world), own, len(ours), theirs)


class _Rounds:
    """An endless stream of n places: round after round, each in its own order."""

    def __init__(self, places: int, seed: int) -> None:
        self.places, self.seed = places, seed
        self.round, self.order = -1, np.empty(0, np.int64)

    def take(self, start: int, count: int) -> NDArray[np.int64]:
        found = np.empty(count, np.int64)
        for at in range(count):
            number, place = divmod(start + at, self.places)
            if number != self.round:
                generator = np.random.default_rng([self.seed, EXPRESSION_ORDER, number])
                self.round, self.order = number, generator.permutation(self.places)
            found[at] = self.order[place]
        return found


def _part(values: NDArray[Any], rank: int, world: int) -> NDArray[Any]:
    return np.array_split(values, world)[rank]


class Feed:
    """Reads faces, in threads, and makes batches of them.

    Threads, and not processes: decoding and resizing leave Python's lock, the lists of hundreds of
    thousands of faces are in memory once, and an error comes back as it was raised.

    Parameters
    ----------
    read : callable
    size : int
        Side in pixels.
    device : torch.device
    workers : int
        Threads; with 0 nothing is read ahead.
    """

    def __init__(self, read: Read, size: int, device: torch.device, workers: int = 0) -> None:
        self.read, self.size, self.device, self.workers = read, size, device, workers

    def batches(
        self, steps: Iterable[Step], triplets: Triplets, expressions: Expressions
    ) -> Iterator[Batch]:
        """Yield the tensors of each step.

        Raises
        ------
        UserError
            If a triplet's kind is unknown.
        """
        margin = margins(triplets.kind)

        def faces(step: Step) -> list[Any]:
            ours = triplets.index[step.triplets].ravel().tolist()
            found = [triplets.faces[place] for place in ours]
            return found + [expressions.faces[place] for place in step.expressions.tolist()]

        kept: deque[Step] = deque()

        def wanted() -> Iterator[list[Any]]:
            for step in steps:
                kept.append(step)
                yield faces(step)

        for images in self._read_ahead(wanted()):
            step = kept.popleft()
            for place in np.flatnonzero(step.flip).tolist():
                images[place] = images[place, :, ::-1].copy()
            yield Batch(
                self._to(images),
                self._to(triplets.odd[step.triplets]),
                self._to(margin[step.triplets]),
                self._to(expressions.expression[step.expressions]),
                self._to(expressions.expression[step.all_expressions]),
                step.all_triplets,
            )

    def images(self, faces: Sequence[Any], batch_size: int) -> Iterator[Tensor]:
        """Yield faces in their order, (n, size, size, 3) uint8 RGB, `batch_size` at once."""
        parts = (faces[at : at + batch_size] for at in range(0, len(faces), batch_size))
        for images in self._read_ahead(parts):
            yield self._to(images)

    def _read_ahead(self, wanted: Iterable[Sequence[Any]]) -> Iterator[NDArray[np.uint8]]:
        if not self.workers:
            for faces in wanted:
                images = self._room(faces)
                for place, face in enumerate(faces):
                    self._fill(images, place, face)
                yield images
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="faces")
        pending: deque[tuple[NDArray[np.uint8], list[Future[None]]]] = deque()
        try:
            for faces in wanted:
                images = self._room(faces)
                jobs = [pool.submit(self._fill, images, *job) for job in enumerate(faces)]
                pending.append((images, jobs))
                if len(pending) > AHEAD:
                    yield _finished(*pending.popleft())
            while pending:
                yield _finished(*pending.popleft())
        finally:
            # After an error nobody waits for what is still to be read.
            pool.shutdown(wait=True, cancel_futures=True)

    def _room(self, faces: Sequence[Any]) -> NDArray[np.uint8]:
        return np.empty((len(faces), self.size, self.size, 3), np.uint8)

    def _fill(self, images: NDArray[np.uint8], place: int, face: Any) -> None:
        image = self.read(face, self.size)
        if image.shape != images.shape[1:] or image.dtype != np.uint8:
            # Numpy would stretch a grey image over three channels without a word.
            raise UserError(
                f"{face}: read as {image.dtype} {image.shape}",
                f"A reader gives uint8 ({self.size}, {self.size}, 3).",
            )
        images[place] = image

    def _to(self, values: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if self.device.type == "cuda":
            # From pinned memory the copy runs beside the computation.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def _finished(images: NDArray[np.uint8], jobs: list[Future[None]]) -> NDArray[np.uint8]:
    for job in jobs:
        job.result()
    return images
