"""The text of a table that somebody saved, whatever program and system saved it."""

from __future__ import annotations

import codecs
import re
import zipfile
from contextlib import suppress
from pathlib import Path

from affectflow.errors import UserError

HEAD = 65536
AS_CSV = (
    "Open it in the program that wrote it, and save it as CSV: in Excel, File, Save As, CSV UTF-8."
)
BYTE_ORDER_MARKS = (
    # UTF-32's begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHER_FILES = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", AS_CSV),
    (b"\x1f\x8b", "compressed by gzip", "Unpack it: gunzip."),
    (b"BZh", "compressed by bzip2", "Unpack it: bunzip2."),
    (b"\xfd7zXZ", "compressed by xz", "Unpack it: unxz."),
    (b"(\xb5/\xfd", "compressed by zstd", "Unpack it: unzstd."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it."),
    (b"Rar!", "a RAR archive", "Unpack it."),
    (b"PAR1", "a Parquet file", "Write it as CSV, such as with pandas' to_csv."),
    (b"\x89HDF", "an HDF5 file", "Write it as CSV, such as with pandas' to_csv."),
    (b"SQLite format 3", "an SQLite database", "Export its table as CSV."),
    (b"$FL2", "an SPSS file", "Export it as CSV in SPSS: File, Export, CSV Data."),
    (b"%PDF", "a PDF", "Get the table itself, as CSV."),
    (b"{\\rtf", "rich text of a word processor", "Save it as plain text."),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer that Git LFS left in the file's place",
        "Fetch the file: git lfs pull, in its repository.",
    ),
)
PACKED = (
    ("xl/", "an Excel workbook (.xlsx)"),
    ("Index/", "a Numbers spreadsheet"),
    ("content.xml", "a spreadsheet of LibreOffice or OpenOffice (.ods)"),
    ("word/", "a Word document"),
)
MARKUP = re.compile(r"<(!doctype|html|head|body|table|\?xml|workbook)\b", re.IGNORECASE)
# Letters that are the same in Latin-1 and Windows-1252, one or two at a time: Cyrillic, Greek or
# Chinese text has longer runs of such bytes, and a Mac's or DOS's letters have other bytes.
LETTERS = "\xa0ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿ"
WESTERN = re.compile(rf"(?<![^\x00-\x7f])[{LETTERS}]{{1,2}}(?![^\x00-\x7f])")


def read_text(path: Path) -> tuple[str, str]:
    r"""Return a file's text, lines ended by ``\n``, and what it is written in, if not UTF-8.

    UTF-8, and UTF-16 and UTF-32 with a byte order mark (UTF-16 also without), are read as such.
    Other bytes are Windows-1252 where every one of them is a letter of a western European
    language that stands where letters stand.

    Parameters
    ----------
    path : Path

    Returns
    -------
    text : str
    encoding : str
        For a note to the user: "" for UTF-8, else such as ``"Windows-1252"``.

    Raises
    ------
    UserError
        If there is no such file, it can't be read, is empty, is no text, or nobody can know what
        its bytes mean.
    """
    data = _bytes(path)
    if not data.strip(b"\0 \t\r\n"):
        what = "is empty" if not data.strip() else "holds nothing but NUL bytes"
        raise UserError(f"{path}: {what}", "It needs a header and a row per clip.")
    _refuse_other_files(path, data)
    text, encoding = _decode(path, data)
    text = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\x1a")
    _refuse_markup(path, text)
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            f"{path}: row {row} has a NUL byte: the file is damaged, or no text",
            "Copy it again, or save it as CSV UTF-8.",
        )
    return text, encoding


def encoding_of(path: Path) -> str:
    """Return what a table that is too large to be looked at whole is written in, by its beginning.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
    UserError
        If it is another kind of file than text.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    _refuse_other_files(path, head)
    encoding = _marked(head) or _unmarked(head) or "utf-8"
    _refuse_markup(path, head.decode(encoding, "replace"))
    return encoding


def beside(path: Path) -> str:
    """Return what to do where a file of nearly this name is in its folder; else ""."""
    try:
        others = sorted(other.name for other in path.parent.iterdir() if other.is_file())
    except OSError:
        return ""
    for name in others:
        if Path(name).stem.lower() == path.stem.lower() and not name.startswith((".", "~")):
            saved = name.lower() == path.name.lower()
            return f"There is {name}: " + ("rename it." if saved else "save it as CSV UTF-8.")
    return ""


def _refuse_other_files(path: Path, head: bytes) -> None:
    if head.startswith(b"PK\x03\x04"):
        raise UserError(f"{path}: is {_packed(path)}, not a CSV table", AS_CSV)
    for magic, kind, remedy in OTHER_FILES:
        if head.startswith(magic):
            raise UserError(f"{path}: is {kind}, not a CSV table", remedy)


def _refuse_markup(path: Path, text: str) -> None:
    if MARKUP.match(text.lstrip()):
        raise UserError(
            f"{path}: is a web page or XML, not a CSV table",
            "If you downloaded it, log in and download the table itself. If a program saved it so, "
            "open it there and save it as CSV.",
        )


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a table", "Name the table in it.")
    try:
        # A device or a pipe may have no end.
        if not path.is_file():
            raise UserError(f"{path}: no such file", beside(path) or "Check dataset in the config.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", "Check its permissions.") from error


def _packed(path: Path) -> str:
    with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for part, kind in PACKED:
            if any(name.startswith(part) for name in names):
                return kind
    return "a zip archive"


def _marked(head: bytes) -> str:
    return next((name for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), "")


def _unmarked(data: bytes) -> str:
    """Return the UTF-16 of text of mostly ASCII letters, each with an empty byte; else ""."""
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(data) % 2 == 0 and data[start::2].count(0) > 0.9 * len(data[start::2]):
            return encoding
    return ""


def _decode(path: Path, data: bytes) -> tuple[str, str]:
    if marked := _marked(data):
        try:
            # The mark itself may be written twice, by two programs.
            text = data.decode(marked).lstrip("\ufeff")
        except UnicodeDecodeError as error:
            name = marked.removesuffix("-sig").upper()
            raise UserError(
                f"{path}: begins as {name} text and is not ({error.reason}, byte {error.start})",
                "Copy it again, or save it as CSV UTF-8.",
            ) from error
        return text, "" if marked == "utf-8-sig" else marked.upper()
    if unmarked := _unmarked(data):
        with suppress(UnicodeDecodeError):
            return data.decode(unmarked), "UTF-16"
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        text = data.decode("latin-1")
        if re.search(r"[^\x00-\x7f]", WESTERN.sub("", text)):
            row = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
            raise UserError(
                f"{path}: is not UTF-8 text: row {row} has the byte "
                f"0x{data[error.start]:02x} (byte {error.start + 1} of the file)",
                "Save it as UTF-8: in Excel, File, Save As, CSV UTF-8; or convert it, such as "
                f"iconv -f ENCODING -t UTF-8 {path.name}, with the encoding that it was saved in.",
            ) from error
        return text, "Windows-1252"
