"""What the columns of a label table mean: which are tasks, their levels, and each row's label.

A guess is made only where it can't well be wrong, and is always reported
(`affectflow.dataset.understood`); elsewhere the column is refused, with what to write into the
config.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from affectflow.dataset.cells import fold, is_percentage, number, tidy
from affectflow.dataset.levels import (
    MOST_CODES,
    MOST_LEVELS,
    NO_LEVEL,
    fractions_of_one,
    in_order,
    named,
    place_of,
    spellings,
    stray,
    too_empty,
)
from affectflow.dataset.no_label import NoLabel
from affectflow.dataset.no_task import beside_labels, numbers_rows, says_who, why_no_words
from affectflow.dataset.tasks import Task, Value
from affectflow.dataset.understood import Column, first_of, quoted
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
    given = {tidy(str(name)): meant for name, meant in (settings.get("tasks") or {}).items()}
    for name in given:
        if name not in columns:
            raise UserError(
                f"dataset.tasks: {path} has no column '{name}'", did_you_mean(name, columns)
            )
    every = settings.get("missing") or []
    understood = []
    for name in given or columns:
        meant = given.get(name) or {}
        missing = NoLabel([*every, *(meant.get("missing") or [])])
        understood.append(_Reader(path, name, rows, meant, missing, bool(given)).read())
    if given:
        left = [name for name in columns if name not in given]
        nothing = (None,) * len(rows)
        why = ("not named under dataset.tasks",)
        understood += [Column(name, None, nothing, {}, why) for name in left]
    tasks = [column.name for column in understood if column.task]
    if not tasks:
        lines = "".join(f"; {column.line()}" for column in understood)
        raise UserError(
            f"{path}: has no task column{lines}",
            "Add a column of levels beside the paths, or name those that are tasks under "
            "dataset.tasks in the config.",
        )
    for place, name in enumerate(tasks):
        alike = [other for other in tasks[:place] if fold(other) == fold(name)]
        if alike:
            raise UserError(
                f"{path}: the columns {alike[0]} and {name} differ by capitals or blanks alone",
                "Rename one, or name under dataset.tasks only the one that is a task.",
            )
    return understood


class _Reader:
    """Reads one column."""

    def __init__(
        self,
        path: Path,
        name: str,
        rows: Sequence[Mapping[str, str]],
        meant: Mapping[str, Any],
        missing: NoLabel,
        declared: bool,
    ) -> None:
        self.path, self.name, self.rows, self.meant = path, name, rows, meant
        self.missing, self.declared = missing, declared
        self.cells = [tidy(row[name]) for row in rows]
        self.listed = meant.get("levels") if isinstance(meant.get("levels"), list) else None
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
        known = [value for value in numbers if value is not None]
        if len(known) == len(present):
            self._refuse_some_percentages(present)
        if self.meant.get("kind") == "real":
            return self._real()
        if self.listed:
            return self._of_names([named(item) for item in self.listed])
        if present and len(known) == len(present):
            return self._numbers(known)
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

    def _refuse_some_percentages(self, present: Sequence[str]) -> None:
        """Refuse 50% beside 50: is that 50, or 0.5? (0 is 0.)"""
        bare = [cell for cell in present if number(cell) and not is_percentage(cell)]
        if bare and any(map(is_percentage, present)):
            self._refuse(
                f"{self._where(bare[0])}: '{bare[0]}' stands among percentages",
                "Write a percent sign after every number of the column, or after none.",
            )

    # Real-valued

    def _real(self) -> Column:
        if self.meant.get("levels"):
            self._refuse(
                f"{self._says('levels')}: a real-valued task has no levels",
                "Leave levels out, or set kind: ordinal.",
            )
        code: dict[str, Value] = {}
        for cell in self._present():
            value = number(cell)
            if value is None:
                self._refuse(
                    f"{self._where(cell)}: '{cell}' is not a number, and the task is real-valued",
                    f"Mend the cell. {self._mended_by_missing([quoted(cell)])}",
                )
            code[cell] = value
        return self._task(Task(self.name, "real", ()), code)

    # Levels by name

    def _of_names(self, names: list[str]) -> Column:
        kind = self.meant.get("kind", "ordinal")
        task = Task(self.name, kind, tuple(names))
        code: dict[str, Value] = {}
        for cell in dict.fromkeys(self._present()):
            place = place_of(cell, names)
            if place is None:
                value = number(cell)
                if value is None or any(number(name) is None for name in names):
                    self._refuse(
                        f"{self._where(cell)}: unknown level '{cell}'",
                        f"{did_you_mean(cell, names)} {self._mended_by_missing([quoted(cell)])}",
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
        count = self.meant.get("levels")
        if not all(value.is_integer() for value in values):
            return self._fractions(values, count)
        whole = sorted({int(value) for value in values})
        if not self.declared and numbers_rows(whole, len(self.rows)):
            return self._no_task("it numbers the rows")
        levels = self._whole_levels(whole, count)
        if not self.declared and whole == [whole[0]] and len(self.rows) > 1:
            self.notes.append(f"every label is {whole[0]}, so nothing is learnt of it")
        kind = self.meant.get("kind", "ordinal")
        task = Task(self.name, kind, tuple(str(level) for level in levels))
        code = {
            cell: levels.index(int(value)) if int(value) in levels else NO_LEVEL
            for cell, value in zip(self._present(), values, strict=True)
        }
        column = self._task(task, code)
        if not self.declared and says_who(column.values, [row["subject"] for row in self.rows]):
            self.notes.append("the same for all clips of each subject: is it a task?")
            return self._task(task, code)
        return column

    def _whole_levels(self, whole: list[int], count: int | None) -> Sequence[int]:
        """Return the levels of whole numbers: from 0, or from 1 where no clip has 0."""
        if count:
            return self._from(int(0 not in whole and count in whole), count)
        apart = stray(whole)
        if apart:
            self._ask_about(apart, [code for code in whole if code not in apart])
        if self.meant.get("kind") == "nominal" and 1 < len(whole) <= MOST_LEVELS:
            return whole
        if whole[-1] >= MOST_LEVELS or too_empty(whole):
            self._refuse(
                f"{self.path}: column {self.name} has whole numbers up to {whole[-1]}: is it a "
                "task?",
                "Name the columns that are tasks under dataset.tasks in the config. A measured "
                f"number is {self._says('kind')}: real; levels are listed, lowest first: "
                f"{self._says('levels')}: [{first_of(whole)}].",
            )
        start = int(whole[0] > 0 and len(whole) > 1)
        levels = self._from(start, whole[-1] + 1 - start)
        if unseen := [level for level in levels if level not in whole]:
            self.notes.append(
                f"no clip has {', '.join(map(str, unseen))}; if there is no such level, "
                f"{self._says('levels')}: [{', '.join(map(str, whole))}]"
            )
        return levels

    def _from(self, start: int, count: int) -> range:
        if start:
            self.notes.append(
                f"no clip has 0, so the levels are 1 to {count}, whose codes in files are 0 to "
                f"{count - 1}; if 0 is a level, {self._says('levels')}: {count + 1}"
            )
        return range(start, start + count)

    def _ask_about(self, codes: Sequence[float], levels: Sequence[float]) -> NoReturn:
        """Refuse numbers that may be levels, or say that there is none."""
        cell = next(cell for cell in self._present() if number(cell) == codes[0])
        among = " is a negative level"
        if levels:
            upto = f" to {levels[-1]:.15g}" if len(levels) > 1 else ""
            among = f" among levels {levels[0]:.15g}{upto}"
        missing = [f"{code:.15g}" for code in codes]
        self._refuse(
            f"{self._where(cell)}: '{cell}'{among}: a level, or a code for none?",
            f"{self._mended_by_missing(missing)} If it is a level, list all: "
            f"{self._says('levels')}: [{first_of(sorted({*codes, *levels}))}]; a measured number "
            "is kind: real.",
        )

    def _fractions(self, values: Sequence[float], count: int | None) -> Column:
        present = self._present()
        guessed = not count and self.meant.get("kind") != "nominal"
        steps = fractions_of_one(values) if guessed else None
        if steps is None:
            inside = [value for value in values if 0 <= value <= 1]
            outside = sorted({*values} - {*inside})
            codes = len(outside) <= MOST_CODES and all(value.is_integer() for value in outside)
            if guessed and outside and codes and fractions_of_one(inside):
                self._ask_about(outside, sorted({*inside}))
            odd = next(c for c, v in zip(present, values, strict=True) if not v.is_integer())
            among = f", and there are {count} levels" if count else ""
            self._refuse(
                f"{self._where(odd)}: '{odd}' is not a level: it is a fraction{among}",
                f"For a measured number or a mean of several raters: {self._says('kind')}: real. "
                f"For levels written as fractions, list them, lowest first: "
                f"{self._says('levels')}: [{first_of(sorted({*values}))}].",
            )
        names, places = steps
        self.notes.append("fractions of 1, read as levels in this order")
        task = Task(self.name, self.meant.get("kind", "ordinal"), names)
        return self._task(task, dict(zip(present, places, strict=True)))

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
        wanted = self.meant.get("levels")
        if wanted and present:
            cell = present[0]
            self._refuse(
                f"{self._where(cell)}: '{cell}' is not a level: they are 0 to {wanted - 1}",
                f"List the words, lowest first: {self._says('levels')}: [{', '.join(names)}].",
            )
        kind = self.meant.get("kind")
        ordered = in_order(names) if kind != "nominal" else None
        names = ordered or names
        if kind == "ordinal" and present and not ordered:
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
        if ordered:
            self.notes.append("read as levels in this order")
        elif kind is None and len(names) > 2:
            listed = ", ".join(map(quoted, names))
            self.notes.append(
                f"if they have an order, list them lowest first: {self._says('levels')}: [{listed}]"
            )
        if not present:
            names = [str(code) for code in range(wanted or 2)]
        guessed = "ordinal" if ordered or not present else "nominal"
        task = Task(self.name, self.meant.get("kind", guessed), tuple(names))
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
            f"{self._mended_by_missing([quoted(word) for word in words[:6]])} If they are levels, "
            f"list all: {self._says('levels')}: [...].",
        )
