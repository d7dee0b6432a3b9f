"""Which clip a label names, where a spreadsheet or another system has rewritten its id."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from affectflow.dataset.records import VIDEO_SUFFIXES, AuditRow, Label, Video
from affectflow.errors import UserError

POWER = re.compile(r"(\d)(?:[.,](\d+))?E\+(\d{2,})", re.ASCII)
"""How spreadsheets write a number that is too wide for its column."""
SHORTENED = re.compile(r"\d{15}0+", re.ASCII)
"""Of longer numbers they keep fifteen digits."""
WHOLE = re.compile(r"(\d+)[.,]0+", re.ASCII)
THOUSANDS = re.compile(r"\d{1,3}([.,' \u00a0\u202f]\d{3})(?:[.,' \u00a0\u202f]\d{3})+", re.ASCII)
QUOTES = "'\"`‘’“”"
READ_AS = "id_read_as"


def file_name(clip_id: str) -> str:
    """Return an id without quotes, without folders in front, without a video's extension."""
    name = unicodedata.normalize("NFC", clip_id).strip(QUOTES).strip()
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name


def digits(clip_id: str) -> str:
    """Return the id that a spreadsheet took for a number and wrote its way: ``12.0`` is ``12``."""
    name = file_name(clip_id)
    power = POWER.fullmatch(name)
    if power and not lost_digits(name):
        return (power[1] + (power[2] or "")).ljust(int(power[3]) + 1, "0")
    if whole := WHOLE.fullmatch(name):
        return whole[1]
    return re.sub(r"\D", "", name) if THOUSANDS.fullmatch(name) else name


def any_case(clip_id: str) -> str:
    """Return what of an id is left where capitals don't count."""
    return digits(clip_id).casefold()


def no_zeros(clip_id: str) -> str:
    """Return what of an id is left where zeros in front don't count either."""
    name = any_case(clip_id)
    return name.lstrip("0") or "0" if name.isdecimal() else name


# From what says the same to what only looks the same.
FORMS: tuple[Callable[[str], str], ...] = (file_name, digits, any_case, no_zeros)


def lost_digits(clip_id: str) -> bool:
    """Return whether an id is a number that a spreadsheet has rounded: ``1.1E+09``."""
    power = POWER.fullmatch(clip_id.strip(QUOTES))
    if power:
        return len(power[2] or "") < int(power[3])
    return bool(SHORTENED.fullmatch(clip_id.strip(QUOTES)))


def match_labels(
    labels: list[Label], videos: Mapping[str, Video], audit: list[AuditRow]
) -> list[Label]:
    """Return the labels, those that name a video in other words by the video's own id.

    A label is given to the only video that its id fits in the first of `FORMS` in which it fits
    any, unless another label names that video by its own id.

    Parameters
    ----------
    labels : list of Label
    videos : mapping
        Clip id -> video.
    audit : list of AuditRow
        Gets a row for each id that was read as another.

    Raises
    ------
    UserError
        If an id that names no video is a number that lost its digits.
    """
    taken = {label.clip_id for label in labels} & videos.keys()
    strangers = [label for label in labels if label.clip_id not in videos]
    if not strangers:
        return labels
    places: list[dict[str, list[str]]] = [defaultdict(list) for _ in FORMS]
    for place, form in zip(places, FORMS, strict=True):
        for clip_id in videos:
            place[form(clip_id)].append(clip_id)
    read = {}
    for stranger in strangers:
        fitting = _only_fit(stranger.clip_id, places)
        if fitting is not None and fitting not in taken:
            read[stranger.clip_id] = fitting
    lost = [x for x in strangers if x.clip_id not in read and lost_digits(x.clip_id)]
    if lost:
        raise lost_error(lost[0].where, lost[0].clip_id, len(lost))
    matched = []
    for label in labels:
        if label.clip_id not in read:
            matched.append(label)
            continue
        clip_id = read[label.clip_id]
        detail = f"{label.where}: '{label.clip_id}' is read as {clip_id}"
        subject = videos[clip_id].subject
        audit.append(AuditRow(clip_id, subject, label.split, READ_AS, detail))
        matched.append(replace(label, clip_id=clip_id, subject=subject))
    return matched


def lost_error(where: str, clip_id: str, count: int) -> UserError:
    """Return what to say of ids whose digits are lost."""
    more = f" ({count} such ids)" if count > 1 else ""
    return UserError(
        f"{where}: '{clip_id}' is an id that a spreadsheet took for a number, and not all its "
        f"digits are there{more}",
        "Take the file as it was before, and don't save it in a spreadsheet; or import it there "
        "with the column of ids as text.",
    )


def refuse_lost(where: str, column: str, cells: Iterable[str]) -> None:
    """Raise UserError where several rows have one id, of which the digits are lost."""
    rows: dict[str, int] = defaultdict(int)
    for cell in cells:
        rows[cell] += 1
    for cell, count in rows.items():
        if count > 1 and lost_digits(cell):
            raise lost_error(f"{where}: column {column}", cell, count)


def _only_fit(clip_id: str, places: list[dict[str, list[str]]]) -> str | None:
    for place, form in zip(places, FORMS, strict=True):
        fitting = place.get(form(clip_id), [])
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None
