import csv
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from affectflow.errors import UserError
from affectflow.teacher.affectnet import COLUMNS, EXPRESSIONS, read_affectnet
from affectflow.teacher.audit import audit_counts
from affectflow.teacher.faces import read_face
from affectflow.video import jpeg

FACE = jpeg.encode(astronaut()[:128, :64]).tobytes()  # 64 x 128
HEADER = ",".join(COLUMNS)


class Manifest:
    def __init__(self, folder: Path) -> None:
        self.table, self.images = folder / "training.csv", folder / "Manually_Annotated_Images"
        (self.images / "1").mkdir(parents=True)

    def image(self, name: str, data: bytes = FACE) -> None:
        (self.images / name).parent.mkdir(parents=True, exist_ok=True)
        (self.images / name).write_bytes(data)

    def write(self, *lines: str, header: bool = True) -> "Manifest":
        self.table.write_text("\n".join([HEADER] * header + list(lines)) + "\n")
        return self

    def read(self, **options: Any) -> tuple:
        return read_affectnet(self.table, self.images, **options)


def row(name: str, expression: object, box: str = "16,32,32,64") -> str:
    return f"{name},{box},1.5;2.5;3;4,{expression},-0.2,0.3"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    made = Manifest(tmp_path)
    for name in "abc":
        made.image(f"1/{name}.jpg")
    return made


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n"])
@pytest.mark.parametrize("ending", ["\r\n", "\r"])
@pytest.mark.parametrize("header", [HEADER, None])
def test_a_manifest_that_a_spreadsheet_saved(
    manifest: Manifest, encoding: str, separator: str, first: str, ending: str, header: str | None
) -> None:
    table = [line.split(",") for line in (header, row("1/a.jpg", 1, "16,32.5,32,64")) if line]
    if separator != ",":
        table[-1] = [cell.replace(".", ",") if cell == "32.5" else cell for cell in table[-1]]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator=ending).writerows(table)
    manifest.table.write_bytes((first.format(separator) + out.getvalue()).encode(encoding))
    found, audit = manifest.read()
    assert audit == [] and len(found) == 1
    assert found.faces[0].box == (0.25, 32.5 / 128, 0.75, 96.5 / 128)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("decode", [True, False])
def test_a_manifest_with_its_header_or_as_validation_comes(
    manifest: Manifest, header: bool, decode: bool
) -> None:
    manifest.write(row("1/a.jpg", 1), row("1/b.jpg", "7.0"), row("1/c.jpg", 0), header=header)
    found, audit = manifest.read(decode=decode)
    assert audit == []
    assert found.expression.dtype == np.int64
    assert [EXPRESSIONS[i] for i in found.expression] == ["happy", "contempt", "neutral"]
    assert len(found) == 3
    assert found.faces[0].path == manifest.images / "1" / "a.jpg"
    assert found.faces[0].box == (0.25, 0.25, 0.75, 0.75)
    assert read_face(found.faces[0], 140).shape == (140, 140, 3)


def test_columns_may_stand_in_another_order(manifest: Manifest) -> None:
    manifest.table.write_text(
        "valence,expression,face_height,face_width,face_y,face_x,subDirectory_filePath\n"
        "0.1,6,64,32,32,16,1/a.jpg\n"
    )
    found, _ = manifest.read()
    assert found.expression.tolist() == [6]
    assert found.faces[0].box == (0.25, 0.25, 0.75, 0.75)


def test_what_is_left_out_is_counted(manifest: Manifest) -> None:
    manifest.image("1/cut.jpg", FACE[:-300])
    (manifest.images / "1" / "folder.jpg").mkdir()
    manifest.write(
        row("1/a.jpg", 3),
        row("1/b.jpg", 8),
        row("1/b.jpg", 9),
        row("1/b.jpg", 10),
        row("1/none.jpg", 2),
        row("1/cut.jpg", 2),
        row("1/folder.jpg", 2),
        row("1/b.jpg", 2, "NULL,NULL,NULL,NULL"),
        row("1/b.jpg", 2, "nan,0,10,10"),
        row("1/b.jpg", 2, "5,5,-1,10"),
        row("1/b.jpg", 2, "64,0,10,10"),
        "1/b.jpg,3,4",
        row("", 2),
        "",
        row("1/c.jpg", 4, "-10,-10,42,74"),
    )
    found, audit = manifest.read()
    assert found.expression.tolist() == [3, 4]
    assert found.faces[1].box == (0.0, 0.0, 0.5, 0.5), "cut at the edge"
    assert audit_counts(audit) == {
        "bad_box": 4,
        "bad_row": 2,
        "broken_image": 2,
        "missing_image": 1,
        "no_expression": 3,
    }
    assert [r.detail for r in audit if r.status == "no_expression"] == [
        "none",
        "uncertain",
        "no face",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=8),
)
def test_every_row_is_used_or_in_the_audit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bool]]
) -> None:
    manifest = Manifest(tmp_path_factory.mktemp("affectnet"))
    manifest.image("1/0.jpg")
    lines = [row("1/0.jpg", 5)]
    for i, (expression, there) in enumerate(rows, start=1):
        if there:
            manifest.image(f"1/{i}.jpg")
        lines.append(row(f"1/{i}.jpg", expression))
    found, audit = manifest.write(*lines).read()
    wanted = [expression for expression, there in rows if there and expression < 8]
    assert found.expression.tolist() == [5, *wanted]
    assert len(found) + len(audit) == len(lines)


@pytest.mark.parametrize("expression", ["11", "-1", "2.5", "happy", "", "nan", "inf", "1e30"])
def test_an_expression_out_of_range_is_told(manifest: Manifest, expression: str) -> None:
    manifest.write(row("1/a.jpg", 1), row("1/b.jpg", expression))
    with pytest.raises(UserError, match=r"training.csv: row 3: expression .* none of") as caught:
        manifest.read()
    assert "contempt" in caught.value.remedy


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "1/../../x.jpg", "..\\x.jpg", "C:\\x.jpg", ".."]
)
def test_a_path_that_leads_out_is_refused(manifest: Manifest, name: str) -> None:
    manifest.write(row("1/a.jpg", 1), row(name, 1))
    with pytest.raises(UserError, match=r"row 3: path .* leads out") as caught:
        manifest.read()
    assert caught.value.remedy


@pytest.mark.parametrize("name", [".", "./", "1/..", "1\\.."])
def test_a_path_that_names_no_file_spoils_its_row_only(manifest: Manifest, name: str) -> None:
    found, audit = manifest.write(row("1/a.jpg", 1), row(name, 1)).read()
    assert found.expression.tolist() == [1]
    assert [(each.item, each.status) for each in audit] == [("row 3", "bad_row")]


def test_links_in_the_folder_are_the_owners(manifest: Manifest, tmp_path: Path) -> None:
    (manifest.images / "2").symlink_to(manifest.images / "1", target_is_directory=True)
    (manifest.images / "1" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    found, audit = manifest.write(row("2\\a.jpg", 1), row("1/gone.jpg", 1)).read()
    assert found.faces[0].path == manifest.images / "2" / "a.jpg"
    assert audit_counts(audit) == {"missing_image": 1}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "has a header but no row"),
        (b"subDirectory_filePath,face_x,face_y\n1/a.jpg,1,2", "has no column face_width"),
        (b"clip_id,subject\n1,2\n", "is no manifest of AffectNet; it begins with 'clip_id"),
        (b"PK\x03\x04" + bytes(99), "is a zip archive"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (f"{HEADER}\n{row('1/nowhere.jpg', 1)}".encode(), "none of the 1 images"),
        (f"{HEADER}\n{row('1/a.jpg', 8)}".encode(), "none of its images can be used .1 no_exp"),
        (HEADER.encode() + b'\n"' + b"x" * 200_000, "is not a CSV table"),
    ],
)
def test_messages_of_a_manifest(manifest: Manifest, text: bytes, match: str) -> None:
    manifest.table.write_bytes(text)
    with pytest.raises(UserError, match=match) as caught:
        manifest.read()
    assert caught.value.remedy


def test_messages_about_paths(manifest: Manifest, tmp_path: Path) -> None:
    manifest.write(row("1/a.jpg", 1))
    for images, match in ((None, "nobody said where"), (tmp_path / "no", "no such folder")):
        with pytest.raises(UserError, match=match) as caught:
            read_affectnet(manifest.table, images)
        assert "teacher.affectnet.images" in caught.value.remedy
    with pytest.raises(UserError, match="No such file"):
        read_affectnet(tmp_path / "no.csv", tmp_path)


def test_a_byte_that_is_no_utf8_spoils_its_row_only(manifest: Manifest) -> None:
    manifest.write(row("1/a.jpg", 1), row("1/XX.jpg", 1), row("1/b.jpg", 2))
    manifest.table.write_bytes(manifest.table.read_bytes().replace(b"XX", b"\xff\xfe"))
    found, audit = manifest.read()
    assert found.expression.tolist() == [1, 2]
    assert audit_counts(audit) == {"bad_row": 1}


class Folder:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "train_set"
        for name in ("images", "annotations"):
            (self.root / name).mkdir(parents=True)

    def add(self, name: str, expression: Any, image: bytes | None = FACE) -> None:
        if image is not None:
            (self.root / "images" / f"{name}.jpg").write_bytes(image)
        for kind, value in (("exp", expression), ("val", -0.2), ("aro", 0.3)):
            np.save(self.root / "annotations" / f"{name}_{kind}.npy", np.array(value))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_folder_of_images_and_annotations(folder: Folder) -> None:
    for i, expression in enumerate([0, "1", b"2", [3], 4.0, np.int32(5), "6.0", 7]):
        folder.add(str(i), expression)
    found, audit = read_affectnet(folder.root)
    assert audit == []
    assert found.expression.tolist() == list(range(8))
    assert found.faces[3].path == folder.root / "images" / "3.jpg"
    assert {face.box for face in found.faces} == {None}


def test_what_a_folder_lacks_is_counted(folder: Folder) -> None:
    folder.add("2", 1)
    folder.add("10", 2)
    folder.add("3", 1, image=None)
    folder.add("4", 1, image=FACE[:-300])
    folder.add("5", 9)
    folder.add("6", [1, 2])
    folder.add("7", 1)
    folder.add("8", 1)
    folder.add("9", 1)
    annotations = folder.root / "annotations"
    (annotations / "7_exp.npy").write_bytes(b"")
    (annotations / "8_exp.npy").unlink()
    (annotations / "9_exp.npy").unlink()
    (annotations / "9_exp.npy").mkdir()
    (folder.root / "images" / "10.png").write_bytes(FACE)
    found, audit = read_affectnet(folder.root)
    assert [face.path.name for face in found.faces] == ["2.jpg", "10.jpg"]
    assert audit_counts(audit) == {
        "bad_label": 3,
        "broken_image": 1,
        "duplicate_image": 1,
        "missing_image": 1,
        "no_expression": 1,
        "no_label": 1,
    }


def test_nothing_is_unpickled(folder: Folder, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    folder.add("1", 1)
    folder.add("2", 1)
    folder.add("3", 1)
    np.save(folder.root / "annotations" / "2_exp.npy", np.array([Trap()]), allow_pickle=True)
    (folder.root / "annotations" / "3_exp.npy").write_bytes(pickle.dumps(Trap()))
    found, audit = read_affectnet(folder.root)
    assert found.expression.tolist() == [1]
    assert audit_counts(audit) == {"bad_label": 2}
    assert not (tmp_path / "sprung").exists()


def npy(header: bytes, data: bytes = b"") -> bytes:
    """Return a file of NumPy's with any header."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def headed(dtype: str, shape: str) -> bytes:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 no archive",
        npy(b"{'descr': '<f8', 'shape': (\n"),
        npy(headed("<f8", "(10000000000000000,)")),
        npy(headed("<f8", "(-1,)"), bytes(8)),
        npy(headed("<U1", "()"), b"\xff\xff\xff\xff"),
        npy(headed("O", "()"), b"I1\n."),
        npy(b"[" * 5000),
    ],
)
def test_an_annotation_that_numpy_fails_on_is_counted(folder: Folder, data: bytes) -> None:
    assert_counted(folder, data)


def assert_counted(folder: Folder, annotation: bytes) -> None:
    """One of two images has this annotation: the other is read."""
    folder.add("1", 1)
    folder.add("2", 1)
    (folder.root / "annotations" / "2_exp.npy").write_bytes(annotation)
    found, audit = read_affectnet(folder.root)
    assert found.expression.tolist() == [1]
    assert audit_counts(audit) == {"bad_label": 1}


JUNK = st.binary(max_size=200)
NPY_JUNK = st.builds(npy, JUNK, JUNK) | st.builds(
    npy, st.from_regex(r"[{}()\[\]',:<f8a-z\n ]*", fullmatch=True).map(str.encode), JUNK
)
WHOLE_HEAD = npy(headed("<f8", "(10000, 10)"))


@given(JUNK | JUNK.map(b"PK\x03\x04".__add__) | NPY_JUNK | JUNK.map(WHOLE_HEAD.__add__))
def test_annotations_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    assert_counted(Folder(tmp_path_factory.mktemp("affectnet")), junk)


def test_messages_of_a_folder(folder: Folder, tmp_path: Path) -> None:
    def told(source: Path, match: str, remedy: str) -> None:
        with pytest.raises(UserError, match=match) as caught:
            read_affectnet(source)
        assert remedy in caught.value.remedy

    told(tmp_path, "has no folder images", "train_set")
    told(folder.root, "has no file ID_exp.npy", "annotations")
    folder.add("1", 11)
    told(folder.root, r"1_exp.npy: expression '11' is none", "contempt")
    folder.add("1", 1, image=None)
    (folder.root / "images" / "1.jpg").unlink()
    told(folder.root, "none of the 1 images", "Unpack")
