"""The one file of a run: what was asked, and each section's rows as they come."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

Section = dict[str, Any]
DONE, CUT, FAILED, BEGUN = "done", "cut short", "failed", "begun"
"""States of a section. A later run does again what is not done."""


class OthersError(Exception):
    """The file is of a run of another kind."""


class Ledger:
    """A JSON file that is whole at every moment.

    Parameters
    ----------
    path : Path
    asked : dict
        What decides the numbers: a file of something else is not continued.
    again : bool
        Whether to begin it anew.

    Raises
    ------
    OthersError
        If the file is there, and of a run with other arguments.
    """

    def __init__(self, path: Path, asked: dict[str, Any], again: bool) -> None:
        self.path = path
        self.content: dict[str, Any] = {"asked": asked, "packages": {}, "sections": {}}
        if path.exists() and not again:
            there = json.loads(path.read_text(encoding="utf-8"))
            if there["asked"] != asked:
                raise OthersError(f"{path} is of {there['asked']}, and asked for is {asked}")
            self.content = there
        self._write()

    def state(self, name: str) -> str | None:
        """Return a section's state, None if it was never begun."""
        return self.content["sections"].get(name, {}).get("state")

    def begin(self, name: str) -> None:
        """Note that a section begins; what it said before is dropped."""
        self._set(name, {"state": BEGUN, "rows": []})

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Note a row."""
        self.content["sections"][name]["rows"].append(_plain(row))
        self._write()

    def end(
        self, name: str, state: str, seconds: float, packages: dict[str, str], error: str = ""
    ) -> None:
        """Note how a section ended, and which packages it had loaded."""
        self.content["packages"] |= packages
        own = {"state": state, "seconds": _plain(seconds)} | ({"error": error} if error else {})
        self._set(name, self.content["sections"][name] | own)

    def _set(self, name: str, section: Section) -> None:
        self.content["sections"][name] = section
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


def _plain(value: Any) -> Any:
    """Return what JSON can hold: Python's numbers, six digits of them, null for NaN."""
    if isinstance(value, dict):
        return {str(name): _plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
