"""Why a path that a table gives names no file, and which one may have been meant."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from affectflow.dataset.folders import entries, shown
from affectflow.errors import UserError

ENCODINGS = ("utf-8", "cp1252", "latin-1", "cp437", "mac_roman", "cp1251", "shift_jis", "gb18030")
"""In which systems have written names."""

MOST_NAMES, MOST_LOOKS = 5000, 20
"""Names of a folder that are compared letter by letter, and paths for which they are."""


class NoFile:
    """Explains paths under a folder; lists each folder once.

    Parameters
    ----------
    top : Path
        What paths start from.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.listed: dict[Path, dict[str, list[str]]] = {}
        self.looks = 0

    def explain(self, path: str) -> str:
        """Return what is wrong with a path that is no file."""
        whole = self.top / path
        try:
            mode = whole.stat().st_mode
        except FileNotFoundError:
            if whole.is_symlink():
                return f"{path} is a link to a file that is not there"
        except NotADirectoryError:
            pass
        except (OSError, ValueError) as error:
            return f"{path}: {getattr(error, 'strerror', None) or error}"
        else:
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
            return f"{path} is {kind}" if not stat.S_ISREG(mode) else ""
        folder, step = self.top, ""
        for step in Path(path).parts:
            if not _is_there(folder / step):
                break
            folder /= step
        meant = self._meant(folder, step)
        where = os.path.relpath(folder, self.top)
        place = f" in {where}" if where != "." else ""
        hint = f": is '{shown(meant)}' meant?" if meant else ""
        return f"there is no {step}{place}{hint}"

    def _meant(self, folder: Path, name: str) -> str | None:
        if folder not in self.listed:
            self.listed[folder] = _by_form(folder)
        forms = self.listed[folder]
        for form in _forms(name):
            if len(forms.get(form, ())) == 1:
                return forms[form][0]
        self.looks += 1
        if self.looks > MOST_LOOKS or len(forms) > MOST_NAMES:
            return None
        wanted = next(_forms(name))
        # Clips are numbered: the one beside it is not the one that was meant.
        numbered = [form for form in forms if _digits(form) == _digits(wanted)]
        close = get_close_matches(wanted, numbered, n=1, cutoff=0.75)
        return forms[close[0]][0] if close else None


def _by_form(folder: Path) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = defaultdict(list)
    with suppress(OSError, UserError):
        for entry in entries(folder):
            for form in dict.fromkeys(_forms(entry.name)):
                forms[form].append(entry.name)
    return forms


def _forms(name: str) -> Iterator[str]:
    """Yield what is left of a name where only its letters and digits count.

    First as it is; then as other systems would have read its bytes.
    """
    yield _letters(name)
    if name.isascii():
        return
    data = [os.fsencode(name)]
    for encoding in ENCODINGS[1:4]:
        with suppress(UnicodeError):
            data.append(name.encode(encoding))
    for encoding in ENCODINGS:
        for one in data:
            with suppress(UnicodeError):
                yield _letters(one.decode(encoding))


def _letters(name: str) -> str:
    parts = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in parts if letter.isalnum() or letter == ".").strip(".")


def _digits(form: str) -> str:
    return re.sub(r"\D", "", form)


def _is_there(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.exists()
    return False
