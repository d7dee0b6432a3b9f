import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from affectflow.errors import UserError
from affectflow.teacher.audit import audit_counts, write_audit
from affectflow.teacher.faces import Face
from affectflow.teacher.fec import KINDS, fec_urls, read_fec
from affectflow.teacher.urls import ImageFolder, image_name, last_part
from affectflow.video import jpeg

SMALL = jpeg.encode(astronaut()[::8, ::8]).tobytes()
HOST = "http://photos.example/"
# As the files have it: left, right, top, bottom.
BOX = ("0.1", "0.6", "0.2", "0.9")


def line(
    votes: Sequence[str],
    names: Sequence[str] = "abc",
    kind: str = "ONE_CLASS_TRIPLET",
    box: Sequence[str] = BOX,
) -> str:
    cells = []
    for name in names:
        cells += [f'"{HOST}{name}.jpg"', *box]
    cells.append(kind)
    for i, vote in enumerate(votes):
        cells += [f"{i + 100}", vote]
    return ",".join(cells)


class Fec:
    def __init__(self, folder: Path) -> None:
        self.table = folder / "faceexp-comparison-data-train-public.csv"
        self.images = folder / "images"
        self.images.mkdir(parents=True)

    def write(self, *lines: str | bytes, images: str = "abcdef") -> "Fec":
        rows = [text if isinstance(text, bytes) else text.encode() for text in lines]
        self.table.write_bytes(b"\n".join(rows) + b"\n")
        for name in images:
            (self.images / image_name(f"{HOST}{name}.jpg")).write_bytes(SMALL)
        return self

    def read(self, **options: Any) -> tuple:
        return read_fec(self.table, self.images, **options)


@pytest.fixture
def fec(tmp_path: Path) -> Fec:
    return Fec(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_a_table_that_a_spreadsheet_saved(
    fec: Fec, encoding: str, separator: str, ending: str
) -> None:
    expected, _ = fec.write(line("331333", "abc"), line("1111", "cbd")).read()
    text = ending.join(["sep=" + separator, line("331333", "abc"), line("1111", "cbd")])
    if separator != ",":
        text = text.replace(",", separator).replace("0.", "0,")
    fec.table.write_bytes(text.encode(encoding))
    triplets, audit = fec.read()
    assert audit == []
    assert triplets.index.tolist() == expected.index.tolist()
    assert triplets.faces == expected.faces and triplets.odd.tolist() == expected.odd.tolist()


def test_a_row_as_google_writes_it(fec: Fec) -> None:
    triplets, audit = fec.write(
        line("331333", "abc"),
        line("1111", "cbd", "THREE_CLASS_TRIPLET"),
        line("22", "abc", "TWO_CLASS_TRIPLET", ("0", "1", "0", "0.5")),
    ).read()
    assert audit == []
    assert triplets.index.dtype == triplets.odd.dtype == np.int64
    assert triplets.index.tolist() == [[0, 1, 2], [2, 1, 3], [4, 5, 6]]
    assert triplets.odd.tolist() == [2, 0, 1]
    assert triplets.kind.tolist() == ["one_class", "three_class", "two_class"]
    first = fec.images / image_name(f"{HOST}a.jpg")
    assert triplets.faces[0] == Face(first, (0.1, 0.2, 0.6, 0.9)), "x0, y0, x1, y1"
    assert triplets.faces[4] == Face(first, (0.0, 0.0, 1.0, 0.5)), "another face in the photo"
    assert len(triplets) == 3


@given(st.lists(st.lists(st.sampled_from("123"), min_size=1, max_size=9), min_size=1, max_size=6))
def test_the_majority_decides_and_ties_are_counted(
    tmp_path_factory: pytest.TempPathFactory, votes: list[list[str]]
) -> None:
    fec = Fec(tmp_path_factory.mktemp("fec"))
    fec.write(line("1"), *(line(each) for each in votes))
    triplets, audit = fec.read()
    wanted = [0]
    for each in votes:
        ranked = Counter(each).most_common()
        if len(ranked) == 1 or ranked[0][1] > ranked[1][1]:
            wanted.append(int(ranked[0][0]) - 1)
    assert triplets.odd.tolist() == wanted
    assert audit_counts(audit).get("tie", 0) == len(votes) + 1 - len(wanted)


def test_agreement_of_two_thirds(fec: Fec) -> None:
    fec.write(line("111123"), line("111223"), line("333332"))
    assert fec.read()[0].odd.tolist() == [0, 0, 2]
    triplets, audit = fec.read(agreement=2 / 3)
    assert triplets.odd.tolist() == [0, 2]
    assert [(row.item, row.status) for row in audit] == [("row 2", "weak")]


ODD_ROWS = {
    "short": (b"just,some,cells", "bad_row"),
    "kind": (line("111", kind="FOUR_CLASS_TRIPLET"), "bad_row"),
    "vote of 4": (line("114"), "bad_row"),
    "half a vote": (line(["1", "1.5"]), "bad_row"),
    "no vote": (line(["", ""]), "bad_row"),
    "a tie": (line("1122"), "tie"),
    "words in a box": (line("1", box=("a", "1", "0", "1")), "bad_row"),
    "nan": (line("1", box=("nan", "1", "0", "1")), "bad_box"),
    "inf": (line("1", box=("0", "inf", "0", "1")), "bad_box"),
    "turned": (line("1", box=("0.6", "0.1", "0", "1")), "bad_box"),
    "beyond": (line("1", box=("1.1", "1.6", "0", "1")), "bad_box"),
    "open quote": (b'"' + line("1").replace('"', "").encode(), "bad_row"),
    "not utf-8": (line("1").encode().replace(b"a.jpg", b"\xff\xfe.jpg"), "bad_row"),
    "one face twice": (line("1", "aab"), "bad_row"),
    "a header": (b"url1,left,right,top,bottom", "bad_row"),
}


@pytest.mark.parametrize("name", ODD_ROWS)
def test_an_odd_row_is_counted_and_spoils_no_other(fec: Fec, name: str) -> None:
    row, status = ODD_ROWS[name]
    triplets, audit = fec.write(line("111", "abc"), row, line("222", "bcd")).read()
    assert triplets.odd.tolist() == [0, 1]
    assert [(each.item, each.status) for each in audit] == [("row 2", status)]


def test_missing_votes_stray_lines_and_boxes_beyond_the_edge(fec: Fec) -> None:
    fec.write(
        "",
        line(["1", "", "1.0"]) + "\r",
        "\r",
        "   ",
        line("22") + ",,",
        line("3", box=("-0.1", "0.5", "0.5", "1.2")),
    )
    triplets, audit = fec.read()
    assert triplets.odd.tolist() == [0, 1, 2]
    assert triplets.faces[3].box == (0.0, 0.5, 0.5, 1.0)
    assert [(row.item, row.status) for row in audit] == [("row 2", "missing_vote")]


@given(st.lists(st.binary(max_size=80), max_size=12))
def test_bytes_from_anywhere(tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]) -> None:
    fec = Fec(tmp_path_factory.mktemp("fec"))
    triplets, _ = fec.write(line("1"), *junk).read()
    assert triplets.odd.tolist() == [0]


def test_missing_and_broken_images_lose_their_triplets_only(fec: Fec, tmp_path: Path) -> None:
    fec.write(line("1", "abc"), line("2", "abd"), line("3", "bce"), line("1", "bcf"), images="abcd")
    (fec.images / image_name(f"{HOST}d.jpg")).write_bytes(SMALL[:-300])
    (fec.images / image_name(f"{HOST}e.jpg")).mkdir()
    triplets, audit = fec.read()
    assert triplets.odd.tolist() == [0]
    assert [face.path.name for face in triplets.faces] == [
        image_name(f"{HOST}{name}.jpg") for name in "abc"
    ]
    assert audit_counts(audit) == {"broken_image": 1, "lost_triplet": 3, "missing_image": 2}
    write_audit(tmp_path / "audit.csv", audit)
    table = (tmp_path / "audit.csv").read_text()
    assert table.startswith("item,status,detail\n")
    assert f"{HOST}e.jpg,missing_image" in table
    assert "row 3,lost_triplet,image 3" in table
    assert fec.read(decode=False)[0].odd.tolist() == [0, 1], "only opening shows a broken image"


def test_names_of_other_tools_unless_two_share_one(fec: Fec) -> None:
    fec.write(line("1", ("x/a", "y/b", "z/c")), line("2", ("x/a", "y/b", "w/c")), images="")
    for name in "abc":
        (fec.images / f"{name}.jpg").write_bytes(SMALL)
    with pytest.raises(UserError, match="none of its triplets can be used"):
        fec.read()
    (fec.images / image_name(f"{HOST}z/c.jpg")).write_bytes(SMALL)
    triplets, audit = fec.read()
    assert triplets.odd.tolist() == [0]
    assert [face.path.name for face in triplets.faces[:2]] == ["a.jpg", "b.jpg"]
    assert "not its alone" in next(row.detail for row in audit if row.status == "missing_image")


@pytest.mark.parametrize(
    "other",
    [
        line("1122", ("w/a", "b", "c")),
        line("1112", ("w/a", "b", "c")),
        line("1", ("w/a", "b", "c"), box=("1.1", "1.6", "0", "1")),
        line("4", ("b", "w/a", "c")),
        f"{HOST}w/a.jpg,0,1",
    ],
)
@pytest.mark.parametrize("in_other_table", [False, True])
def test_a_name_is_shared_with_addresses_that_no_triplet_needs(
    fec: Fec, tmp_path: Path, other: str, in_other_table: bool
) -> None:
    """The other address may be whose photo it is."""
    test = tmp_path / "faceexp-comparison-data-test-public.csv"
    test.write_text(other + "\n")
    lines = [line("1111", ("z/a", "b", "c")), line("2222", "bcd")]
    fec.write(*lines, *([] if in_other_table else [other]), images="bcd")
    (fec.images / "a.jpg").write_bytes(SMALL)
    triplets, audit = fec.read(others=[test] if in_other_table else [], agreement=0.8)
    assert triplets.odd.tolist() == [1]
    assert "not its alone" in next(row.detail for row in audit if row.status == "missing_image")


@pytest.mark.parametrize(
    "url",
    [
        "http://h/..",
        "http://h/a/../..",
        "http://h/.hidden",
        "http://h/a\\..\\b.jpg",
        "http://h/",
        "http://h",
        "a.jpg",
        "",
        "http://h/" + "a" * 300,
    ],
)
def test_a_last_part_that_is_no_plain_name_is_not_looked_for(url: str, tmp_path: Path) -> None:
    assert last_part(url) == ""
    assert ImageFolder(tmp_path, [url]).find(url) is None


@given(st.text(max_size=60))
def test_names_stay_in_the_folder(text: str) -> None:
    url = HOST + text
    for name in (image_name(url), last_part(url)):
        assert "/" not in name
        assert name not in (".", "..")
    assert last_part("http://h/%2e%2e%2fpasswd") == "%2e%2e%2fpasswd"


def test_names_are_fixed() -> None:
    """A folder that was filled by an earlier version is still of use."""
    assert image_name("http://h/a.PNG") == "0b01dab6ae65de7bcaee.png"
    assert len({image_name(f"http://h/{i}") for i in range(1000)}) == 1000
    assert image_name("http://h/photo?id=3").endswith(".jpg")


def test_messages(fec: Fec, tmp_path: Path) -> None:
    cases = itertools.count()

    def told(match: str, *lines: str | bytes, images: str = "abc") -> None:
        other = Fec(tmp_path / f"case{next(cases)}")
        other.write(*lines, images=images)
        with pytest.raises(UserError, match=match) as caught:
            other.read()
        assert caught.value.remedy

    told("is empty", b"")
    told("none of its 2 rows is a triplet of FEC .row 1: has 3 cells", b"a,b,c", b"d,e,f")
    told("none of its 1 rows", line("1").encode("utf-16"))
    told("none of the 3 images", line("1"), images="")
    told("none of its triplets can be used .1 tie", line("123"))
    with pytest.raises(UserError, match="no such folder of FEC's images") as caught:
        read_fec(fec.table, tmp_path / "nowhere")
    assert "teacher.fec.images" in caught.value.remedy
    with pytest.raises(UserError, match="no such file"):
        fec.read()
    with pytest.raises(UserError, match="directory"):
        read_fec(tmp_path, fec.images)
    fec.write(line("1"))
    with pytest.raises(UserError, match="no such file"):
        fec.read(others=[tmp_path / "no.csv"])


def test_addresses_to_download(fec: Fec) -> None:
    fec.write(line("1", "abc"), line("12", "bcd"), b"junk", line("3", "cae"), images="")
    assert fec_urls(fec.table) == [f"{HOST}{name}.jpg" for name in "abce"], "a tie needs none"


def test_kinds() -> None:
    assert list(KINDS.values()) == ["one_class", "two_class", "three_class"]
