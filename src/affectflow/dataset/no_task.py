"""Which columns of a table nobody should take for a task without being told to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

MOST_WORDS = 20
"""Different words: more are no task by guess."""
PER_WORD = 3
"""Rows for each different word: fewer are no task by guess."""
FEW_ROWS = 10
"""Fewer rows show nothing of how often words repeat."""
LONG = 40
"""Letters of a cell that is a sentence."""

# What tables say beside labels. A column whose name, or its last word, is one of these.
BESIDE = frozenset(
    """
    note notes comment comments remark remarks description transcript text caption message
    id ids uuid key index row unnamed number nr name names title file files filename path paths
    url link uri folder directory checksum hash md5 sha256
    date day month year time datetime timestamp timecode start stop begin end duration length
    seconds minutes frames fps size width height resolution bitrate codec format
    age gender sex ethnicity race nationality country language religion birthday birthdate
    annotator annotators rater raters coder coders labeller labeler reviewer expert
    session device camera microphone browser location school site version source
    """.split()  # noqa: SIM905
)
DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?|\d{1,2}:\d{2}(:\d{2})?(\.\d+)?( ?[AP]M)?"
)
PLACE = re.compile(
    r"[a-z]+://.*|.*[/\\].*\.\w{1,5}|[^\s]+\.[a-z]\w{1,4}|\S+@\S+\.\w+", re.IGNORECASE
)


def beside_labels(name: str) -> bool:
    """Return whether a column's name says that it holds no labels: ``notes``, ``childAge``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    parts = [part.lower() for part in re.split(r"[\W\d_]+", words) if part]
    return bool(parts) and ("".join(parts) in BESIDE or parts[-1] in BESIDE)


def why_no_words(words: Sequence[str], different: int, rows: int) -> str:
    """Say why a column of words is no task by guess; nothing if it may be one.

    Parameters
    ----------
    words : sequence of str
        The cells that aren't missing; at least one.
    different : int
        How many different words they are, other spellings left out.
    rows : int
        Of the table.
    """
    many = f"{different} different words in {len(words)} of {rows} rows"
    for kind, pattern in (("dates or times", DATE), ("paths or addresses", PLACE)):
        if all(pattern.fullmatch(word) for word in words):
            return kind
    if median(map(len, words)) > LONG or median(len(word.split()) for word in words) > PER_WORD:
        return f"free text: {many}"
    if different == 1 and rows > 1:
        return f"one word only: '{words[0]}'"
    if different > MOST_WORDS or (rows > 2 and different == len(words)):
        return f"free text: {many}"
    if rows >= FEW_ROWS and (different * PER_WORD > len(words) or len(words) * PER_WORD < rows):
        return f"free text: {many}"
    return ""


def numbers_rows(whole: Sequence[int], rows: int) -> bool:
    """Return whether whole numbers (different, ascending) are those of a table's rows."""
    return len(whole) == rows >= FEW_ROWS and whole[0] in (0, 1) and whole[-1] - whole[0] < rows


def says_who(codes: Sequence[object], subjects: Sequence[str]) -> bool:
    """Return whether a column tells of the subject, not of the clip.

    It does where no subject has two values, and at least three have two clips or more.

    Parameters
    ----------
    codes, subjects : sequence
        Of each row; None where there is no label.
    """
    values: dict[str, list[object]] = {}
    for code, subject in zip(codes, subjects, strict=True):
        if code is not None:
            values.setdefault(subject, []).append(code)
    several = [own for own in values.values() if len(own) > 1]
    return len(several) >= PER_WORD and all(len(set(own)) == 1 for own in several)
