"""The one error that is meant for the person who runs the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or all of them."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(known)}."
