"""What of a public data set is not used, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from affectflow.dataset.tables import write_table
from affectflow.errors import UserError

AUDIT_COLUMNS = ("item", "status", "detail")

# So many tasks wait for a worker: a data set's worth at once would take memory for nothing.
AHEAD = 1024

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An image, or a row of a table, that is not used as it should be.

    Attributes
    ----------
    item : str
        What it is about: an address, a path within the folder of images, or ``row 17``.
    status : str
        Such as ``missing_image``.
    detail : str
        What exactly is wrong.
    """

    item: str
    status: str
    detail: str


def audit_counts(rows: Iterable[AuditRow]) -> dict[str, int]:
    """Return how many rows have each status, by status."""
    return dict(sorted(Counter(row.status for row in rows).items()))


def write_audit(path: Path, rows: Iterable[AuditRow]) -> None:
    """Write audit rows as CSV, with the columns of `AUDIT_COLUMNS`."""
    write_table(path, AUDIT_COLUMNS, (asdict(row) for row in rows))


def counts_text(rows: Iterable[AuditRow]) -> str:
    """Return the counts as people read them: ``3 missing_image, 1 tie``."""
    return ", ".join(f"{n} {status}" for status, n in audit_counts(rows).items()) or "nothing"


def require_folder(folder: Path, what: str, key: str) -> None:
    """Raise UserError unless there is a folder; `what` it is, and the config's `key` for it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder of {what}", f"Set {key} to it.")


def in_threads(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Yield `work` of each item, in the items' order, from so many threads at a time."""
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for start in range(0, len(items), AHEAD):
            yield from pool.map(work, items[start : start + AHEAD])
