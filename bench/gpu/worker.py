"""The process that the sections run in: one that crashes or hangs takes no other with it."""

from __future__ import annotations

import os
import time
import traceback
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

START = 120.0
"""Seconds in which it has to be ready: torch is loaded, and the device begun."""

GRACE = 20.0
"""Seconds that a row may take beyond its section's time, before the process is ended."""


class Worker:
    """A process with the device, begun when it is first needed, and anew after a failure.

    Parameters
    ----------
    how : dict
        Arguments of `material.Material`.
    """

    def __init__(self, how: dict[str, Any]) -> None:
        self.how = how
        self.process: Any = None
        self.end: Connection

    def run(self, section: str, seconds: float) -> Any:
        """Yield what a section says: ``("row", dict)``, and one ``(state, text, packages)`` last.

        Parameters
        ----------
        section : str
            ``module:function``, to which the material is given.
        seconds : float
            No row is begun after this time.
        """
        if self.process is None:
            found = self._start()
            if found[0] != "ready":
                yield found
                return
        self.end.send((section, seconds))
        limit = time.monotonic() + seconds + GRACE
        while True:
            found = self._receive(limit - time.monotonic())
            yield found
            if found[0] != "row":
                return

    def _start(self) -> Any:
        context = get_context("spawn")
        self.end, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.how))
        self.process.start()
        theirs.close()
        return self._receive(START)

    def _receive(self, seconds: float) -> Any:
        """Return what the process says; if it fails, or says nothing, it is ended."""
        found: Any
        try:
            if self.end.poll(max(seconds, 0)):
                found = self.end.recv()
            else:
                found = "cut short", "it gave no answer in time, and was ended", {}
        except (EOFError, OSError):
            self.process.join(10)
            code = self.process.exitcode
            found = "failed", f"the process ended by itself, with code {code}", {}
        if found[0] == "failed" or (found[0] == "cut short" and found[1]):
            self.stop()  # a GPU that failed answers this process no more
        return found

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def _serve(end: Connection, how: dict[str, Any]) -> None:
    # cuBLAS reads it when it is first used, and keeps to it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        material = _material(how)
        end.send(("ready",))
    except BaseException:
        end.send(("failed", traceback.format_exc(), {}))
        return
    while True:
        try:
            section, seconds = end.recv()
        except EOFError:
            return
        until = time.monotonic() + seconds
        try:
            module, _, name = section.partition(":")
            state = "done"
            for row in getattr(import_module(module), name)(material):
                end.send(("row", row))
                if time.monotonic() > until:
                    state = "cut short"
                    break
            end.send((state, "", _loaded()))
        except BaseException:
            end.send(("failed", traceback.format_exc(), {}))


def _material(how: dict[str, Any]) -> Any:
    import torch
    from load import watch
    from material import Material

    from affectflow.commandline import keep_freed_memory, limit_threads
    from affectflow.devices import choose

    # One thread computes, as in a job; those that feed the device are the settings'.
    limit_threads(1)
    keep_freed_memory()
    device = choose(how["device"])
    if device.type == "cuda":
        torch.cuda.init()
    watch(device)
    given = how | {"folder": Path(how["folder"]), "device": device}
    given["clips"] = Path(how["clips"]) if how["clips"] else None
    return Material(**given)


def _loaded() -> dict[str, str]:
    """Return the distributions whose modules are loaded, with their versions."""
    import sys
    from importlib.metadata import packages_distributions, version

    owners = packages_distributions()
    tops = {name.partition(".")[0] for name in [*sys.modules]}
    names = {owner for top in tops for owner in owners.get(top, [])}
    return {name: version(name) for name in sorted(names)}
