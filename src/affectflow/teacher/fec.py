"""Google's Facial Expression Comparison data set (FEC), as it is distributed.

A CSV without a header, ``faceexp-comparison-data-train-public.csv`` or ``...-test-public.csv``,
over photos that are not distributed, only linked to (`affectflow.teacher.download`). A line holds,
by the README that comes with the data set:

- three times: the image's address; the face's box as left column, **right column**, top row,
  bottom row, parts of the image's width and height;
- the kind of triplet, by how many expressions its three faces were thought to show:
  ``ONE_CLASS_TRIPLET``, ``TWO_CLASS_TRIPLET``, ``THREE_CLASS_TRIPLET``;
- for each annotator: an id, and a vote. "A value of 1 means the expressions on second and third
  faces in the triplet are visually more similar to each other when compared to the expression on
  the first face", 2 and 3 likewise: the vote names the face that is least like the others.

Vemulapalli and Agarwala 2019, A Compact Embedding for Facial Expression Similarity, CVPR, section
3; they asked six annotators, and used the triplets on which two thirds agreed (`agreement`).
"""

from __future__ import annotations

import csv
import logging
from array import array
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.tables import SEPARATORS
from affectflow.dataset.text import encoding_of
from affectflow.errors import UserError
from affectflow.teacher.audit import AuditRow, counts_text, in_threads, require_folder
from affectflow.teacher.faces import Box, Face, examine, usable_box
from affectflow.teacher.urls import ImageFolder, image_name

log = logging.getLogger(__name__)

KINDS = {
    "ONE_CLASS_TRIPLET": "one_class",
    "TWO_CLASS_TRIPLET": "two_class",
    "THREE_CLASS_TRIPLET": "three_class",
}
KIND = 15
VOTES = {"1": 0, "2": 1, "3": 2, "1.0": 0, "2.0": 1, "3.0": 2}
COLUMNS = (
    "Each line: three times an address and a box (left, right, top, bottom), the kind of triplet "
    "(ONE_CLASS_TRIPLET, ...), then an annotator and a vote, again and again; no header."
)


@dataclass(frozen=True)
class Triplets:
    """Triplets of faces, of which one is least like the others.

    Attributes
    ----------
    faces : list of Face
        Each once, whatever the number of triplets it is in.
    index : numpy.ndarray
        (n, 3) int64: the triplets' faces, places in `faces`.
    odd : numpy.ndarray
        (n,) int64, 0..2: which of the three is least like the other two.
    kind : numpy.ndarray
        (n,) str: ``one_class``, ``two_class`` or ``three_class``.
    """

    faces: list[Face]
    index: NDArray[np.int64]
    odd: NDArray[np.int64]
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.odd)


def read_fec(
    table: Path,
    images: Path,
    *,
    others: Sequence[Path] = (),
    agreement: float = 0.0,
    workers: int = 4,
    decode: bool = True,
) -> tuple[Triplets, list[AuditRow]]:
    """Read a table of FEC over a folder of downloaded images.

    The face with most votes is the odd one. A triplet one of whose images is missing or broken is
    left out: nothing stands in for it.

    Parameters
    ----------
    table : Path
        The CSV.
    images : Path
        The folder, see `affectflow.teacher.urls`.
    others : sequence of Path
        Further tables whose images are in the folder, too: an image that may be of one of their
        addresses is not taken for one of this table's.
    agreement : float
        The least share of votes (0..1) for the odd face. The paper's is 2/3; 0: whichever face
        has most.
    workers : int
        Threads that open images.
    decode : bool
        Whether to decode every image once, the only way to know a broken one; otherwise only
        their names are looked for.

    Returns
    -------
    triplets : Triplets
        In the table's order.
    audit : list of AuditRow
        Of images: ``missing_image``, ``broken_image``. Of rows that are left out: ``bad_row``,
        ``bad_box``, ``tie``, ``weak`` (less than `agreement`), ``lost_triplet`` (by an image). Of
        rows that are used, with fewer votes than annotators: ``missing_vote``.

    Raises
    ------
    UserError
        If a table or the folder is missing, no row is a triplet, no image is found, or none of
        the triplets is left.
    """
    require_folder(images, "FEC's images", "teacher.fec.images")
    rows = _Rows(table, agreement)
    audit = rows.audit
    urls = list(dict.fromkeys(url for url, _ in rows.faces))
    tables = dict.fromkeys((table, *others))
    folder = ImageFolder(images, [url for each in tables for url in fec_addresses(each)])
    usable, found = _look(urls, folder, workers, decode, audit)
    if urls and not found:
        raise UserError(
            f"{images}: has none of the {len(urls)} images of {table}",
            "Set teacher.fec.images to the folder that snakemake download_fec filled.",
        )
    triplets = _keep(rows, usable, audit)
    if not len(triplets):
        raise UserError(
            f"{table}: none of its triplets can be used ({counts_text(audit)})",
            "Download the images again: snakemake --forcerun download_fec download_fec.",
        )
    log.info(
        "%s: %d triplets of %d faces; left out or noted: %s",
        table.name,
        len(triplets),
        len(triplets.faces),
        counts_text(audit),
    )
    return triplets, audit


def fec_urls(table: Path) -> list[str]:
    """Return the addresses of the images that a table's triplets need, each once, in its order.

    Those of ties are not needed.

    Raises
    ------
    UserError
        If the table is missing, or no row is a triplet.
    """
    return list(dict.fromkeys(url for url, _ in _Rows(table, 0.0).faces))


def fec_addresses(table: Path) -> list[str]:
    """Return all addresses of a table, each once, in its order, whatever is wrong with their rows.

    Raises
    ------
    UserError
        If the table is missing.
    """
    return list(dict.fromkeys(url for _, cells in _lines(table) for url in cells[:KIND:5]))


class _Rows:
    """The rows of a table that are triplets with an odd face.

    Attributes
    ----------
    faces : dict
        (address, box) -> place.
    index, odd, kind, line : array
        Of each triplet: three places, 0..2, a place in `KINDS`, the line's number.
    audit : list of AuditRow
    """

    def __init__(self, table: Path, agreement: float) -> None:
        self.faces: dict[tuple[str, Box], int] = {}
        self.index, self.odd = array("q"), array("b")
        self.kind, self.line = array("b"), array("q")
        self.audit: list[AuditRow] = []
        # A face is in ten triplets or so: its cells are read once.
        self._boxes: dict[tuple[str, ...], Box | None] = {}
        kinds = {name: i for i, name in enumerate(KINDS)}
        seen = good = 0
        first_fault = ""
        for number, cells in _lines(table):
            seen += 1
            where = f"row {number}"
            fault = _fault(cells, self._boxes)
            if fault:
                self.audit.append(AuditRow(where, "bad_row", fault))
                first_fault = first_fault or f"row {number}: {fault}"
                continue
            good += 1
            places = self._places(cells, where)
            if places is None:
                continue
            odd = self._vote(cells, agreement, where)
            if odd is None:
                continue
            # Only now: a face is one that a triplet needs.
            self.index.extend(self.faces.setdefault(face, len(self.faces)) for face in places)
            self.odd.append(odd)
            self.kind.append(kinds[cells[KIND]])
            self.line.append(number)
        if not good:
            what = "is empty" if not seen else f"none of its {seen} rows is a triplet of FEC"
            raise UserError(f"{table}: {what}{f' ({first_fault})' if first_fault else ''}", COLUMNS)

    def _places(self, cells: list[str], where: str) -> list[tuple[str, Box]] | None:
        """Return the three faces, or None if one's box is not in its image; say so."""
        found = []
        for i in (0, 5, 10):
            image = tuple(cells[i : i + 5])
            if image not in self._boxes:
                left, right, top, bottom = map(float, image[1:])
                self._boxes[image] = usable_box((left, top, right, bottom))
            box = self._boxes[image]
            if box is None:
                detail = f"image {i // 5 + 1}: {', '.join(image[1:])}"
                self.audit.append(AuditRow(where, "bad_box", detail))
                return None
            found.append((image[0], box))
        if len(set(found)) < len(found):
            self.audit.append(AuditRow(where, "bad_row", "names one face twice"))
            return None
        return found

    def _vote(self, cells: list[str], agreement: float, where: str) -> int | None:
        """Return the face with most votes, or None; say so if votes are missing."""
        given = [cell for cell in cells[KIND + 2 :: 2] if cell]
        asked = sum(1 for cell in cells[KIND + 1 :: 2] if cell)
        count = [0, 0, 0]
        for cell in given:
            count[VOTES[cell]] += 1
        most = max(count)
        detail = f"votes {count[0]}, {count[1]}, {count[2]}"
        if count.count(most) > 1:
            self.audit.append(AuditRow(where, "tie", detail))
            return None
        if most < agreement * len(given) - 1e-9:
            self.audit.append(AuditRow(where, "weak", detail))
            return None
        if asked > len(given):
            self.audit.append(AuditRow(where, "missing_vote", f"{detail} of {asked} annotators"))
        return count.index(most)


def _lines(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines' numbers and cells. Each line stands for itself, whatever its quotes."""
    separator = ""
    try:
        with table.open(encoding=encoding_of(table), errors="replace") as file:
            for number, raw in enumerate(file, start=1):
                line = raw.strip("\r\n\0\ufeff ")
                if not line or (number == 1 and line.lower().startswith("sep=")):
                    continue
                separator = separator or _separator(line)
                cells = [cell.strip() for cell in _cells(line, separator or ",")]
                if separator not in ("", ",") and len(cells) > KIND:
                    for i in (1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14):
                        cells[i] = cells[i].replace(",", ".")
                yield number, cells
    except FileNotFoundError as error:
        raise UserError(f"{table}: there is no such file", "Give the path of FEC's CSV.") from error
    except OSError as error:
        raise UserError(f"{table}: {error.strerror}", "Give the path of FEC's CSV.") from error


def _separator(line: str) -> str:
    """Return what separates a triplet's cells, "" for a line that is none."""
    for separator in SEPARATORS:
        cells = _cells(line, separator)
        if len(cells) > KIND and cells[KIND].strip() in KINDS:
            return separator
    return ""


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except (csv.Error, StopIteration):
        return [line]


def _fault(cells: list[str], known: Container[tuple[str, ...]]) -> str:
    """Return why a row is no triplet, "" where it is one. Its boxes are numbers then.

    Images that are `known`, by their five cells, are as they should be.
    """
    if len(cells) < KIND + 3:
        return f"has {len(cells)} cells, a triplet at least {KIND + 3}"
    if cells[KIND] not in KINDS:
        return f"'{cells[KIND][:40]}' is no kind of triplet"
    for i in (0, 5, 10):
        if tuple(cells[i : i + 5]) in known:
            continue
        if not cells[i] or "�" in cells[i]:
            return f"image {i // 5 + 1} has no readable address"
        for cell in cells[i + 1 : i + 5]:
            try:
                float(cell)
            except ValueError:
                return f"'{cell[:40]}' in the box of image {i // 5 + 1} is no number"
    votes = [cell for cell in cells[KIND + 2 :: 2] if cell]
    if not votes:
        return "has no vote"
    odd = [cell for cell in votes if cell not in VOTES]
    return f"'{odd[0][:40]}' is no vote (1, 2 or 3)" if odd else ""


def _look(
    urls: list[str], folder: ImageFolder, workers: int, decode: bool, audit: list[AuditRow]
) -> tuple[dict[str, Path], int]:
    """Return the images that can be used, by address, and how many were found at all."""
    paths: dict[str, Path] = {}
    for url in urls:
        path = folder.find(url)
        if path is not None:
            paths[url] = path
            continue
        shared = ", and its last part is not its alone" if folder.is_ambiguous(url) else ""
        audit.append(AuditRow(url, "missing_image", f"no file {image_name(url)}{shared}"))
    usable = dict(paths)
    if decode:
        for (url, path), finding in zip(
            paths.items(), in_threads(examine, list(paths.values()), workers), strict=True
        ):
            if finding.fault:
                audit.append(AuditRow(url, "broken_image", f"{path.name}: {finding.fault}"))
                del usable[url]
    return usable, len(paths)


def _keep(rows: _Rows, usable: dict[str, Path], audit: list[AuditRow]) -> Triplets:
    """Return the triplets all of whose images are usable; number their faces anew."""
    faces = list(rows.faces)
    good = np.array([url in usable for url, _ in faces], bool)
    index = np.array(rows.index, np.int64).reshape(-1, 3)
    whole = good[index].all(1) if len(index) else np.zeros(0, bool)
    for row in np.flatnonzero(~whole):
        lost = " and ".join(str(i + 1) for i in np.flatnonzero(~good[index[row]]))
        audit.append(
            AuditRow(f"row {rows.line[row]}", "lost_triplet", f"image {lost} can't be used")
        )
    index = index[whole]
    used, places = np.unique(index, return_inverse=True)
    kinds = np.array(list(KINDS.values()))
    return Triplets(
        [Face(usable[faces[i][0]], faces[i][1]) for i in used],
        places.reshape(-1, 3).astype(np.int64),
        np.array(rows.odd, np.int64)[whole],
        kinds[np.array(rows.kind, np.int64)[whole]],
    )
