"""The one error that is meant for the person who runs the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

DAMAGED = ".damaged"


class UserError(Exception):
    """Something the user can mend.

    Parameters
    ----------
    message : str
        What is wrong and where: the file, key or row.
    remedy : str
        What to do about it.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class DamagedFileError(UserError):
    """A file that a stage wrote, and that is not what it wrote any more.

    Parameters
    ----------
    path : Path
    how : str
        What is wrong with it.
    """

    def __init__(self, path: Path, how: str) -> None:
        super().__init__(
            f"{path}: {how}", f"Remove {path} and run snakemake again: it is made anew."
        )
        self.path = path

    def move_aside(self) -> UserError:
        """Rename the file, so that the next run makes it anew; return what to tell the user."""
        aside = self.path.with_name(f"{self.path.name}{DAMAGED}")
        # Another job may have found the same, and moved it already.
        with suppress(FileNotFoundError):
            self.path.replace(aside)
        return moved_aside(aside, self.message)


def moved_aside(aside: Path, what: str = "") -> UserError:
    """Return what to tell of a damaged file that has been renamed; `what` is known of it."""
    what = what or f"{aside.with_suffix('')}: is damaged"
    return UserError(
        f"{what}; it is now {aside.name}",
        "Give the same command again: the file is made anew. If this happens more than once, "
        "have the disk looked at.",
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or all of them."""
    known = sorted(map(str, known))
    close = get_close_matches(str(word), known, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(known)}."
