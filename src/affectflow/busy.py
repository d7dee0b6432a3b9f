"""How long a device had work."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

import torch


class Busy:
    """Adds up the time in which a device works: ``with busy: network(batch)``.

    Threads take turns. A GPU's time is its own clock's, from where it comes to the work until that
    is done, however much earlier it was given; if it waits for the CPU within, that counts, too.
    Other devices are to be waited for within.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._turn = Lock()
        self._began = 0.0
        self._seconds = 0.0
        self._now: tuple[torch.cuda.Event, torch.cuda.Event]
        self._given: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def __enter__(self) -> None:
        """Wait for the turn."""
        self._turn.acquire()
        try:
            if self.device.type == "cuda":
                self._now = _clock(), _clock()
                self._now[0].record()
        except BaseException:
            self._turn.release()
            raise
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        """Let the next one work."""
        try:
            if self.device.type == "cuda":
                self._now[1].record()
                self._given.append(self._now)
                while self._given and self._given[0][1].query():
                    self._take()
            else:
                self._seconds += time.monotonic() - self._began
        finally:
            # Also of a GPU that failed, or other threads would wait for it forever.
            self._turn.release()

    @property
    def seconds(self) -> float:
        """Seconds so far; a GPU is waited for."""
        with self._turn:
            while self._given:
                self._given[0][1].synchronize()
                self._take()
            return self._seconds

    def _take(self) -> None:
        start, end = self._given.popleft()
        self._seconds += start.elapsed_time(end) / 1000


def _clock() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)
