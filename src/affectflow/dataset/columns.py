"""What the columns of a label table mean: which are tasks, their levels, and each row's label.

A guess is made only where it can't well be wrong, and is always told
(`affectflow.dataset.understood`); elsewhere the column is refused, with what to write into the
config.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from affectflow.dataset.levels import (
    FEW,
    MOST_LEVELS,
    NO_LEVEL,
    fractions_of_one,
    named,
    place_of,
    spellings,
    stray,
    too_empty,
)
from affectflow.dataset.no_label import NoLabel, number, tidy
from affectflow.dataset.no_task import beside_labels, says_who, why_no_words
from affectflow.dataset.tasks import Task, Value
from affectflow.dataset.understood import Column
from affectflow.errors import UserError, did_you_mean

OTHERS_ARE_NONE = "columns that are not named there are then no tasks"


def understand(
    path: Path,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
) -> list[Column]:
    """Return what columns of a table mean.

    Parameters
    ----------
    path : Path
        The table, for messages.
    columns : sequence of str
        Those that may be tasks.
    rows : sequence of mapping
        As `affectflow.dataset.tables.read_table` returns them, with the column ``subject``.
    settings : mapping
        `dataset` in the config: ``tasks`` (column -> ``kind``, ``levels``, ``missing``, or None)
        and ``missing``.

    Raises
    ------
    UserError
        If the config names a column that isn't there, a cell can't be what its column says, a
        guess would be wrong, or no column is a task.
    """
    given: Mapping[str, Any] = settings.get("tasks") or {}
    for name in given:
        if name not in columns:
            raise UserError(
                f"dataset.tasks: {path} has no column '{name}'", did_you_mean(name, columns)
            )
    every = settings.get("missing") or []
    found = []
    for name in given or columns:
        own = given.get(name) or {}
        missing = NoLabel([*every, *(own.get("missing") or [])])
        found.append(_Reader(path, name, rows, own, missing, bool(given)).read())
    if given:
        left = [name for name in columns if name not in given]
        nothing = (None,) * len(rows)
        found += [Column(n, None, nothing, {}, ("not named under dataset.tasks",)) for n in left]
    if not any(column.task for column in found):
        told = "".join(f"; {column.line()}" for column in found)
        raise UserError(
            f"{path}: has no task column{told}",
            "Add a column of levels beside the paths, or name those that are tasks under "
            "dataset.tasks in the config.",
        )
    return found


class _Reader:
    """Reads one column."""

    def __init__(
        self,
        path: Path,
        name: str,
        rows: Sequence[Mapping[str, str]],
        own: Mapping[str, Any],
        missing: NoLabel,
        declared: bool,
    ) -> None:
        self.path, self.name, self.rows, self.own = path, name, rows, own
        self.missing, self.declared = missing, declared
        self.cells = [tidy(row[name]) for row in rows]
        self.listed = own.get("levels") if isinstance(own.get("levels"), list) else None
        kept = {named(item) for item in self.listed or []}
        self.absent = [cell not in kept and missing(cell) for cell in self.cells]
        self.notes: list[str] = []

    def read(self) -> Column:
        """Return what the column means."""
        if not self.declared and beside_labels(self.name):
            return self._no_task("its name is of what stands beside labels")
        present = self._present()
        numbers = [number(cell) for cell in present]
        if any(value is not None for value in numbers) and not self.listed:
            # Among numbers, None and unknown are no levels.
            self.absent = [
                gone or self.missing.either(cell)
                for cell, gone in zip(self.cells, self.absent, strict=True)
            ]
            present = self._present()
            numbers = [number(cell) for cell in present]
        if not present and not self.declared:
            return self._no_task("no cell has a value")
        if self.own.get("kind") == "real":
            return self._real()
        if self.listed:
            return self._of_names([named(item) for item in self.listed])
        known = [value for value in numbers if value is not None]
        if present and len(known) == len(present):
            return self._numbers(known)
        if present and all(
            cell.endswith("%") and number(cell[:-1]) is not None for cell in present
        ):
            return self._numbers([float(cell[:-1]) for cell in present])
        return self._words(present, len(known))

    def _present(self) -> list[str]:
        pairs = zip(self.cells, self.absent, strict=True)
        return [cell for cell, gone in pairs if not gone]

    def _where(self, cell: str) -> str:
        row = self.rows[self.cells.index(cell)]
        return f"{self.path}: row {row['']}, column {self.name}"

    def _no_task(self, why: str) -> Column:
        return Column(self.name, None, (None,) * len(self.rows), {}, (why,))

    def _task(self, task: Task, code: Mapping[str, Value]) -> Column:
        pairs = list(zip(self.cells, self.absent, strict=True))
        gone = Counter(cell for cell, absent in pairs if absent)
        values = tuple(None if absent else code[cell] for cell, absent in pairs)
        return Column(self.name, task, values, dict(gone.most_common()), tuple(self.notes))

    def _refuse(self, message: str, remedy: str) -> NoReturn:
        more = "" if self.declared else f" Or name only the tasks there: {OTHERS_ARE_NONE}."
        raise UserError(message, remedy + more)

    def _says(self, key: str) -> str:
        return f"dataset.tasks.{self.name}.{key}"

    def _mended_by_missing(self, cells: Sequence[str]) -> str:
        values = ", ".join(cells)
        return (
            f"Where it says that there is no level: {self._says('missing')}: [{values}], or for "
            f"every column dataset.missing: [{values}]."
        )

    # Real-valued

    def _real(self) -> Column:
        if self.own.get("levels"):
            self._refuse(
                f"{self._says('levels')}: a real-valued task has no levels",
                "Leave levels out, or set kind: ordinal.",
            )
        code: dict[str, Value] = {}
        for cell in self._present():
            value = number(cell.removesuffix("%"))
            if value is None:
                self._refuse(
                    f"{self._where(cell)}: '{cell}' is not a number, and the task is real-valued",
                    f"Mend the cell. {self._mended_by_missing([_quoted(cell)])}",
                )
            code[cell] = value
        return self._task(Task(self.name, "real", ()), code)

    # Levels by name

    def _of_names(self, names: list[str]) -> Column:
        kind = self.own.get("kind", "ordinal")
        task = Task(self.name, kind, tuple(names))
        code: dict[str, Value] = {}
        for cell in dict.fromkeys(self._present()):
            place = place_of(cell, names)
            if place is None:
                value = number(cell)
                if value is None or any(number(name) is None for name in names):
                    self._refuse(
                        f"{self._where(cell)}: unknown level '{cell}'",
                        f"{did_you_mean(cell, names)} {self._mended_by_missing([_quoted(cell)])}",
                    )
                if not value.is_integer():
                    self._refuse(
                        f"{self._where(cell)}: '{cell}' is not a level",
                        f"Levels are {', '.join(names)}. For numbers between them: "
                        f"{self._says('kind')}: real.",
                    )
            code[cell] = NO_LEVEL if place is None else place
        return self._task(task, code)

    # Numbers

    def _numbers(self, values: Sequence[float]) -> Column:
        present = self._present()
        wanted = self.own.get("levels")
        if not all(value.is_integer() for value in values):
            return self._fractions(present, values, wanted)
        whole = sorted({int(value) for value in values})
        count = wanted or whole[-1] + 1
        if not wanted:
            self._refuse_codes(whole)
        if not self.declared and whole == [whole[0]] and len(self.rows) > 1:
            self.notes.append(f"every label is {whole[0]}, so nothing is learnt of it")
        unseen = [code for code in range(count) if code not in whole]
        if unseen and not wanted:
            names = ", ".join(map(str, unseen))
            listed = f"{self._says('levels')}: [{', '.join(map(str, whole))}]"
            self.notes.append(f"no clip has {names}; if there is no such level, {listed}")
        kind = self.own.get("kind", "ordinal")
        task = Task(self.name, kind, tuple(str(code) for code in range(count)))
        code = {
            cell: int(value) if 0 <= value < count else NO_LEVEL
            for cell, value in zip(present, values, strict=True)
        }
        column = self._task(task, code)
        if not self.declared and says_who(column.values, [row["subject"] for row in self.rows]):
            self.notes.append("the same for all clips of each subject: is it a task?")
            return self._task(task, code)
        return column

    def _refuse_codes(self, whole: list[int]) -> None:
        apart = stray(whole)
        if apart:
            rest = [code for code in whole if code not in apart]
            cell = next(c for c in self._present() if _whole(c) == apart[0])
            among = f"{rest[0]} to {rest[-1]}" if len(rest) > 1 else f"{rest[0]}" if rest else ""
            values = [str(code) for code in apart]
            every = ", ".join(map(str, whole)) if len(whole) <= FEW else "..."
            self._refuse(
                f"{self._where(cell)}: '{cell}'"
                + (f" among levels {among}" if among else " is a negative level")
                + ": a level, or a code for none?",
                f"{self._mended_by_missing(values)} If it is a level, list all: "
                f"{self._says('levels')}: [{every}]; a measured number is kind: real.",
            )
        if whole[-1] >= MOST_LEVELS:
            self._refuse(
                f"{self.path}: column {self.name} has more than {MOST_LEVELS} levels: is it a "
                "task?",
                "Name the columns that are tasks under dataset.tasks in the config; a measured "
                f"number is {self._says('kind')}: real.",
            )
        if too_empty(whole):
            self._refuse(
                f"{self.path}: column {self.name} has whole numbers from {whole[0]} to "
                f"{whole[-1]}, and most of the levels 0 to {whole[-1]} in no clip: is it a task?",
                "Name the columns that are tasks under dataset.tasks in the config; for this one "
                f"give levels: [{', '.join(map(str, whole[:3]))}, ...] in order, or kind: real.",
            )

    def _fractions(
        self, present: Sequence[str], values: Sequence[float], wanted: int | None
    ) -> Column:
        odd = next(c for c, v in zip(present, values, strict=True) if not v.is_integer())
        steps = None if wanted or self.own.get("kind") == "nominal" else fractions_of_one(values)
        if steps is None:
            among = f", and its levels are 0 to {wanted - 1}" if wanted else ""
            distinct = [f"{value:g}" for value in sorted(set(values))]
            listed = ", ".join(distinct[:MOST_LEVELS] if len(distinct) <= 12 else ["..."])
            self._refuse(
                f"{self._where(odd)}: '{odd}' is not a level: it is a fraction{among}",
                f"For a measured number or a mean of several raters: {self._says('kind')}: real. "
                f"For levels written as fractions, list them, lowest first: "
                f"{self._says('levels')}: [{listed}].",
            )
        share, codes = steps
        self.notes.append("fractions of 1, read as levels in this order")
        task = Task(self.name, self.own.get("kind", "ordinal"), share)
        return self._task(task, dict(zip(present, codes, strict=True)))

    # Words

    def _words(self, present: list[str], numbers: int) -> Column:
        # Another case, blank or form of Unicode is no other level.
        merged = spellings(present)
        names = sorted(set(merged.values()))
        if not self.declared and present:
            why = why_no_words(present, len(names), len(self.rows))
            if why and 2 * numbers < len(present):
                return self._no_task(why)
        if numbers:
            self._mixed(present, numbers)
        doubtful = [cell for cell in dict.fromkeys(present) if self.missing.either(cell)]
        if doubtful:
            cell = doubtful[0]
            self._refuse(
                f"{self._where(cell)}: '{cell}' among words: a level, or no label?",
                f"{self._mended_by_missing([cell])} If it is a level, list all: "
                f"{self._says('levels')}: [{', '.join(names)}].",
            )
        wanted = self.own.get("levels")
        if wanted and present:
            cell = present[0]
            self._refuse(
                f"{self._where(cell)}: '{cell}' is not a level: they are 0 to {wanted - 1}",
                f"List the words, lowest first: {self._says('levels')}: [{', '.join(names)}].",
            )
        if self.own.get("kind") == "ordinal" and present:
            self._refuse(
                f"{self.path}: column {self.name} has words, and their order is not known",
                f"List them, lowest first, in {self._says('levels')}, or set kind: nominal.",
            )
        if len(names) > MOST_LEVELS:
            self._refuse(
                f"{self.path}: column {self.name} has more than {MOST_LEVELS} levels: is it a "
                "task?",
                "Name the columns that are tasks under dataset.tasks in the config.",
            )
        for cell, name in merged.items():
            if cell != name:
                self.notes.append(f"'{cell}' read as '{name}'")
        if not present:
            names = [str(code) for code in range(wanted or 2)]
        task = Task(
            self.name, self.own.get("kind", "nominal" if present else "ordinal"), tuple(names)
        )
        column = self._task(task, {cell: names.index(name) for cell, name in merged.items()})
        if not self.declared and says_who(column.values, [row["subject"] for row in self.rows]):
            return self._no_task("the same for all clips of each subject")
        return column

    def _mixed(self, present: Sequence[str], numbers: int) -> NoReturn:
        words = [cell for cell in dict.fromkeys(present) if number(cell) is None]
        if 2 * numbers >= len(present):
            odd, among = words[0], "numbers"
        else:
            odd, among = next(cell for cell in present if number(cell) is not None), "words"
            words = [cell for cell in dict.fromkeys(present) if number(cell) is not None]
        self._refuse(
            f"{self._where(odd)}: '{odd}' is not a level: it stands among {among}",
            "Levels are whole numbers (0, 1, 2, 3) or words. "
            f"{self._mended_by_missing([_quoted(word) for word in words[:6]])} If they are levels, "
            f"list all: {self._says('levels')}: [...].",
        )


def _whole(cell: str) -> int | None:
    value = number(cell.removesuffix("%"))
    return None if value is None else int(value)


def _quoted(cell: str) -> str:
    """Return a cell as YAML takes it within a list."""
    return cell if cell.replace(" ", "").isalnum() else "'" + cell.replace("'", "''") + "'"
