"""Tables as people and their programs save them."""

from __future__ import annotations

import csv
import io
import logging
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.tables import read_table
from affectflow.errors import UserError

REQUIRED = ("clip_id", "path")
PLAIN = "clip_id,path,mood\n1,a.mp4,0\n2,b c.mp4,1.5\n"
ROWS = [
    {"clip_id": "1", "path": "a.mp4", "mood": "0"},
    {"clip_id": "2", "path": "b c.mp4", "mood": "1.5"},
]


def read(path: Path, content: str | bytes) -> list[dict[str, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    columns, rows = read_table(path, REQUIRED)
    assert all(set(row) == {*columns, ""} for row in rows)
    return [{key: cell for key, cell in row.items() if key} for row in rows]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN + "\x1a",
        "\n\n" + PLAIN.replace("\n", "\n\n"),
        "\ufeff" + PLAIN,
        "\ufeff\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", "\t").encode("utf-16"),  # Excel's "Unicode text"
        PLAIN.encode("utf-32"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        "sep=,\n" + PLAIN,
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        '"sep=;"\n' + PLAIN.replace(",", ";"),
        "SEP=\t\n" + PLAIN.replace(",", "\t"),
        "\ufeffsep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace("1.5", "1,5"),
        PLAIN.replace(",", "\t").replace("1.5", "1,5"),
        PLAIN.replace("1.5", '"1,5"'),
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("0\n", "0,,\n"),
        PLAIN.replace("mood", "mood,,"),
        PLAIN.replace("mood\n", "mood,,\n").replace("0\n", "0,\n"),
        "".join(f",{line}\n" for line in PLAIN.splitlines()),
        "".join(f"{i},{line}\n" for i, line in zip(["", 0, 1], PLAIN.splitlines(), strict=True)),
        PLAIN.replace("clip_id", "Clip ID").replace("path", " PATH "),
        PLAIN.replace("clip_id", "ClipID").replace("path", "Path"),
        PLAIN.replace("clip_id", "clip-id"),
        "# exported in May\n" + PLAIN,
        "# " + PLAIN,
        PLAIN + "# that was all\n",
        "The study's clips,,\n\n" + PLAIN,
        "".join(f'"{line}"\n' for line in PLAIN.splitlines()),
        PLAIN.replace("1,a", '"1","a').replace("mp4,0", 'mp4",0'),
        PLAIN.replace("1,a", '="1",a'),
        PLAIN.replace("a.mp4", "\u200ba.mp4\u00a0"),
        PLAIN.replace("a.mp4", "\u202aa.mp4\u202c"),  # copied from a window of Windows
        "sep=;\n" + PLAIN,  # saved again with commas
        "sep=,\n" + PLAIN.replace(",", "\t"),
        PLAIN + PLAIN.partition("\n")[0] + "\n",  # tables put one below the other
        PLAIN.replace("2,b", PLAIN.partition("\n")[0] + "\n2,b"),
        PLAIN.replace("clip_id,path", "'clip_id','path'").replace("mood", "'mood'"),
        PLAIN.replace("clip_id,path,mood", "`clip_id`,`path`,`mood`").replace(
            "1,a.mp4", "`1`,` a.mp4`"
        ),
        PLAIN.replace("clip_id,path,mood", "\u201cclip_id\u201d,\u201epath\u201c,\u2018mood\u2019"),
    ],
)
def test_a_table_is_read_whatever_saved_it(tmp_path: Path, content: str | bytes) -> None:
    assert read(tmp_path / "clips.csv", content) == ROWS


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=6)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_a_program_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    separator: str,
    encoding: str,
    ending: str,
) -> None:
    written = [(f"id{i} {a}".strip(), f"p {b}".strip()) for i, (a, b) in enumerate(cells)]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([REQUIRED, *written])
    path = tmp_path_factory.mktemp("table") / "clips.csv"
    found = read(path, out.getvalue().encode(encoding))
    assert [(row["clip_id"], row["path"]) for row in found] == written


def test_a_path_is_no_number(tmp_path: Path) -> None:
    rows = read(tmp_path / "clips.csv", "clip_id;path;mood\n1,5;0,5;0,5\n")
    assert rows == [{"clip_id": "1,5", "path": "0,5", "mood": "0.5"}]


def test_quotes_are_a_cell_s_own_where_the_header_has_none(tmp_path: Path) -> None:
    rows = read(tmp_path / "clips.csv", "clip_id,path,mood\n'1','a'.mp4,'0'\n")
    assert rows == [{"clip_id": "'1'", "path": "'a'.mp4", "mood": "'0'"}]


def test_a_column_s_name_has_single_blanks(tmp_path: Path) -> None:
    rows = read(tmp_path / "clips.csv", 'clip_id,path,"my \n  mood"\n1,a.mp4,0\n')
    assert rows == [{"clip_id": "1", "path": "a.mp4", "my mood": "0"}]


def test_rows_are_numbered_below_a_repeated_header(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text(PLAIN.replace("2,b", "clip_id,path,mood\n2,b"))
    assert [row[""] for row in read_table(path, REQUIRED)[1]] == ["2", "4"]


def test_rows_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("sep=;\n\n" + PLAIN.replace(",", ";"))
    assert [row[""] for row in read_table(path, REQUIRED)[1]] == ["4", "5"]


def test_a_row_that_ends_early_without_a_label_has_none(tmp_path: Path) -> None:
    rows = read(tmp_path / "clips.csv", "clip_id,path,mood,effort\n1,a.mp4,1,2\n2,b.mp4\n")
    assert rows[1] == {"clip_id": "2", "path": "b.mp4", "mood": "", "effort": ""}


@pytest.mark.parametrize("name", ["Müller", "José", "Zoë Ångström", "façade", "Mäßig"])
def test_western_text_that_is_not_utf8(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = PLAIN.replace("a.mp4", f"{name}.mp4").encode("cp1252")
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path / "clips.csv", content)[0]["path"] == f"{name}.mp4"
    assert "read as Windows-1252" in caplog.text


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Иванов", "cp1251"),
        ("Иванов", "koi8-r"),
        ("Müller", "mac-roman"),
        ("Müller", "cp850"),
        ("王小明", "gbk"),
        ("田中さん", "shift-jis"),
        ("Łukasz", "cp1250"),
    ],
)
def test_text_whose_encoding_nobody_can_know(tmp_path: Path, name: str, encoding: str) -> None:
    content = PLAIN.replace("b c.mp4", f"{name}.mp4").encode(encoding)
    with pytest.raises(UserError, match=r"is not UTF-8 text: row 3 has the byte 0x.*\n.*CSV UTF-8"):
        read(tmp_path / "clips.csv", content)


def packed(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\0" * 100, "nothing but NUL bytes"),
        (
            packed("[Content_Types].xml", "xl/workbook.xml"),
            r"is an Excel workbook \(.xlsx\).*\n.*CS",
        ),
        (packed("mimetype", "content.xml"), r"LibreOffice"),
        (packed("Index/Document.iwa"), r"Numbers"),
        (packed("clips.csv"), r"a zip archive"),
        (packed("xl/workbook.xml")[:40], r"a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), r"is an Excel workbook \(.xls\)"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip"),
        (b"<!DOCTYPE html><html>", "is a web page or XML"),
        (b"\xef\xbb\xbf<table><tr>", "is a web page or XML"),
        (b'<?xml version="1.0"?><Workbook/>', "is a web page or XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (PLAIN.replace("b c", "b\0c"), "row 3 has a NUL byte"),
        (PLAIN.encode("utf-16")[:-1], "begins as UTF-16 text and is not"),
        ("1,a.mp4,0\n2,b.mp4,1\n", r"has no header; its first line is '1, a.mp4, 0'"),
        ("clip_id,mood\n1,2\n", r"has no column path \(it has clip_id, mood\)"),
        ("clip_id,pth\n1,2\n", r"has no column path .*\n.*Did you mean 'pth'"),
        ("clip_id path mood\n1 a.mp4 0\n", "blanks separate its cells"),
        ("clip_id,Path,PATH\n1,2,3\n", "has no column path"),
        ("clip_id,path,mood,mood\n1,a,0,0\n", "names column mood twice"),
        ("clip_id,path\n", "has a header but no row"),
        ("clip_id,path\n# none\n", "has a header but no row"),
        (PLAIN.replace("1.5", "1,5"), "row 3 has 4 cells, the header 3"),
        ("clip_id,path,mood,effort\n1,a.mp4,1\n", "row 2 has 3 cells, the header 4"),
        (PLAIN.replace("b c.mp4", '"b c.mp4'), r"is not a CSV table: row 3"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() else "content",
)
def test_what_is_no_table_is_named_with_a_remedy(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / "clips.csv", content)
    assert str(tmp_path / "clips.csv") in str(error.value)
    assert error.value.remedy


def test_a_folder_or_a_device_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        read_table(tmp_path, REQUIRED)
    with pytest.raises(UserError, match="no such file"):
        read_table(Path("/dev/zero"), REQUIRED)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("Clips.csv", "There is Clips.csv: rename it"),
        ("clips.xlsx", "There is clips.xlsx: save it as CSV"),
        ("clips.csv.gz", "Check dataset"),
        ("other.csv", "Check dataset"),
    ],
)
def test_a_table_of_another_name(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"no such file\n  {remedy}"):
        read_table(tmp_path / "clips.csv", REQUIRED)


@given(st.binary(max_size=60), st.sampled_from([b"", b"clip_id,path\n", b"sep=;\n", b"\xff\xfe"]))
def test_whatever_the_bytes_a_person_is_told(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = tmp_path_factory.mktemp("table") / "clips.csv"
    path.write_bytes(head + data)
    try:
        columns, rows = read_table(path, REQUIRED)
    except UserError as error:
        assert error.remedy and str(path) in str(error)
    else:
        assert {*REQUIRED} <= {*columns} and all({*columns, ""} == {*row} for row in rows)
