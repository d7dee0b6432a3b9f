"""Data sets as other systems leave them on disk: droppings, capitals, names, what can't be read."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import unicodedata
from pathlib import Path

import pytest
from needs import without_rights

from affectflow.dataset.coverage import without_videos
from affectflow.dataset.droppings import is_dropping
from affectflow.dataset.index import Index, build_index, write_index
from affectflow.errors import UserError
from affectflow.teacher.affectnet import read_affectnet

HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration\n"
CLIPS = {"Train": "1100011001", "Validation": "2100011001", "Test": "3100011001"}

DROPPINGS = [
    "._1100011001.avi", ".DS_Store", "Thumbs.db", "desktop.ini", "~$labels.xlsx",
    ".~lock.labels.csv#", ".nfs0000000000a3", "@eaDir", "#recycle", ".Trashes", ".Trash-1000",
    "__MACOSX", "1100011009.avi.part", "1100011009.mp4.crdownload", "1100011009.avi.tmp",
    "Icon\r", ".1100011009.avi.icloud", "$RECYCLE.BIN", "System Volume Information", "lost+found",
    "1100011009.avi~", ".fuse_hidden0001", ".Spotlight-V100", "THUMBS.DB",
]  # fmt: skip
PEOPLES_OWN = [
    "1100011001.avi", "_take 2.avi", "a.part.avi", "tmp.mp4", "Icon.mov", "~home.avi", "#1.mp4",
    "@home.avi", "$5.mov", "part", "temp", "label~1.avi", "Zoë.avi", "MACOSX",
]  # fmt: skip


@pytest.mark.parametrize("name", DROPPINGS)
def test_droppings(name: str) -> None:
    assert is_dropping(name)


@pytest.mark.parametrize("name", PEOPLES_OWN)
def test_what_people_name_so_is_theirs(name: str) -> None:
    assert not is_dropping(name)


def add_video(root: Path, split: str, clip: str) -> Path:
    folder = root / "DataSet" / split / clip[:6] / clip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{clip}.avi"
    path.write_bytes(b"video")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One clip per split, as DAiSEE has them."""
    return make(tmp_path / "DAiSEE")


def make(root: Path) -> Path:
    (root / "Labels").mkdir(parents=True)
    for split, clip in CLIPS.items():
        add_video(root, split, clip)
        labels = f"{HEADER}{clip}.avi,0,1,2,3\n"
        (root / "Labels" / f"{split}Labels.csv").write_text(labels)
    return root


def index(root: Path) -> Index:
    return build_index({"layout": "daisee", "root": str(root)}, 4)


def clips(found: Index) -> list[tuple[str, str, str]]:
    return [(clip.clip_id, clip.subject, clip.status) for clip in found.clips]


WANTED = [(clip, clip[:6], "ok") for clip in CLIPS.values()]


def litter(folder: Path) -> None:
    for name in DROPPINGS:
        (folder / name).write_bytes(b"\0\5\26\7")


def test_droppings_are_no_clips_and_no_people(root: Path) -> None:
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        litter(folder)
    for name in ("@eaDir", "__MACOSX", ".Trashes"):
        for place in (root / "DataSet" / "Train", root / "DataSet" / "Train" / "110001"):
            shutil.rmtree(place / name, ignore_errors=True)
            (place / name).unlink(missing_ok=True)
            for inside in (place / name / "1100021001" / "a.avi", place / name / "b.avi"):
                inside.parent.mkdir(parents=True, exist_ok=True)
                inside.write_bytes(b"x")
    found = index(root)
    assert clips(found) == WANTED
    assert found.audit == []


def test_a_hidden_video_is_named_in_the_audit(root: Path) -> None:
    video = add_video(root, "Train", "1100011001")
    video.with_name(".1100011002.avi").write_bytes(b"video")
    found = index(root)
    assert clips(found) == WANTED
    (row,) = found.audit
    assert row.status == "passed_over"
    assert "is hidden: rename it" in row.detail


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DataSet/Validation", "DataSet/validation"),
        ("DataSet/Train", "DataSet/TRAIN"),
        ("DataSet", "Dataset"),
        ("Labels", "labels"),
        ("Labels/TestLabels.csv", "Labels/testlabels.csv"),
    ],
)
def test_capitals_do_not_count(root: Path, old: str, new: str) -> None:
    (root / old).rename(root / new)
    found = index(root)
    assert clips(found) == WANTED
    assert found.audit == []
    for clip in found.clips:
        assert (root / clip.path).is_file()


def test_two_folders_that_differ_in_capitals(root: Path) -> None:
    (root / "DataSet" / "train").mkdir()
    litter(root / "DataSet" / "train")
    assert clips(index(root)) == WANTED, "one of them is empty"
    (root / "DataSet" / "train" / "110001").mkdir()
    with pytest.raises(UserError, match="has both Train and train"):
        index(root)


def test_a_split_without_videos_is_told_also_without_experiments(root: Path) -> None:
    shutil.rmtree(root / "DataSet" / "Validation")
    (line,) = without_videos(index(root))
    assert line.startswith("validation: has 1 label(s) and no video under")


@pytest.mark.parametrize("closed", ["DataSet/Train/110001", "DataSet/Train", "Labels", "."])
def test_a_folder_that_may_not_be_read(seen_by_all: Path, closed: str) -> None:
    root = seen_by_all / "DAiSEE"
    make(root)
    (root / closed).chmod(0)
    with (
        without_rights(),
        pytest.raises(UserError, match=r"can't be read: Permission denied"),
    ):
        index(root)
    (root / closed).chmod(0o755)


def test_what_is_no_file_is_named(root: Path) -> None:
    folder = add_video(root, "Train", "1100011001").parent
    (folder / "1100011002.avi").mkdir()
    (folder / "1100011003.avi").symlink_to("nowhere")
    (folder / "1100011004.avi").symlink_to("1100011004.avi")
    os.mkfifo(folder / "1100011005.avi")
    with socket.socket(socket.AF_UNIX) as listening:
        # A socket's path may be no longer than 107 bytes.
        short = Path(tempfile.mkdtemp()) / "s"
        short.symlink_to(folder)
        listening.bind(str(short / "1100011006.avi"))
        found = index(root)
    shutil.rmtree(short.parent, ignore_errors=True)
    assert clips(found) == WANTED
    assert [(row.clip_id, row.detail.split(": ")[1]) for row in found.audit] == [
        ("1100011003", "is a broken link"),
        ("1100011004", "is a broken link"),
        ("1100011005", "is a pipe, socket or device"),
        ("1100011006", "is a pipe, socket or device"),
    ]


def test_names_that_are_no_text_are_named(root: Path, tmp_path: Path) -> None:
    folder = add_video(root, "Train", "1100011001").parent
    Path(os.fsdecode(os.fsencode(folder) + b"/Zo\xeb.avi")).write_bytes(b"video")
    found = index(root)
    assert clips(found) == WANTED
    (row,) = found.audit
    assert (row.clip_id, row.status) == (r"Zo\xeb", "passed_over")
    assert "convmv" in row.detail
    write_index(found, tmp_path / "out")


@pytest.mark.parametrize("root", ["x" * 300, "x/" * 3000, "nul\0", "/dev/null", "/dev/null/x"])
def test_a_root_that_can_be_no_folder(root: str) -> None:
    with pytest.raises(UserError, match=r"dataset\.root: there is no folder"):
        build_index({"layout": "daisee", "root": root}, 4)


def manifest(folder: Path, paths: list[str]) -> Index:
    rows = [f'clip{i},s{i},{split},"{path}",{i % 2}' for i, (path, split) in enumerate(
        zip(paths, ["train", "test"] * len(paths), strict=False)
    )]  # fmt: skip
    table = folder / "clips.csv"
    table.write_text("\n".join(["clip_id,subject,split,path,mood", *rows]) + "\n")
    return build_index({"layout": "manifest", "clips": str(table)}, 2)


ODD_NAMES = [
    "a%20b.avi", "%03d.avi", "concat:a.avi", "http:x.avi", "a#b?c&d=1.avi", "it's.avi",
    "$(touch x);.avi", "-rf.avi", "[a]*.avi", "a|b.avi", "full／width.avi", "Zoë.avi",
    "x" * 240 + ".avi", "dir/with blank/a.avi", "日本.avi", "trailing..avi",
]  # fmt: skip


def test_a_manifest_finds_odd_names(tmp_path: Path) -> None:
    for name in ODD_NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"video")
    found = manifest(tmp_path, ODD_NAMES)
    assert sorted(clip.path for clip in found.clips) == sorted(ODD_NAMES)
    assert found.audit == []


@pytest.mark.parametrize(
    ("on_disk", "in_table"),
    [
        (b"Zo\xeb.avi", "Zoë.avi"),
        (b"Zo\x89.avi", "Zoë.avi"),
        ("ZoÃ«.avi".encode(), "Zoë.avi"),
        ("Zoë.avi".encode(), "ZoÃ«.avi"),
        (b"Zoe.avi", "Zoë.avi"),
        ("full／width.avi".encode(), "full/width.avi"),
        (b"take_1.avi", "take 1.avi"),
        (b"take_1.avi ", "take_1.avi"),
        (b"interview_anna.avi", "interview_ana.avi"),
    ],
)
def test_the_file_that_was_meant_is_found_or_named(
    tmp_path: Path, on_disk: bytes, in_table: str
) -> None:
    (tmp_path / "other.avi").write_bytes(b"video")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + on_disk)).write_bytes(b"video")
    found = manifest(tmp_path, ["other.avi", in_table])
    clip = found.clips[-1]
    if clip.status == "no_video" and "full" not in in_table:
        (row,) = found.audit
        assert row.status == "no_video"
        assert f"is '{on_disk.decode('utf-8', 'backslashreplace')}' meant?" in row.detail
    write_index(found, tmp_path / "out")


def test_a_decomposed_name_is_found(tmp_path: Path) -> None:
    """Accents beside their letters, as macOS writes them."""
    (tmp_path / "other.avi").write_bytes(b"video")
    (tmp_path / unicodedata.normalize("NFD", "Zoë.avi")).write_bytes(b"video")
    assert all(clip.status == "ok" for clip in manifest(tmp_path, ["other.avi", "Zoë.avi"]).clips)


def test_the_clip_beside_is_not_the_one_that_was_meant(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"clip_000{number}.avi").write_bytes(b"video")
    found = manifest(tmp_path, ["clip_0001.avi", "clip_0003.avi"])
    (row,) = found.audit
    assert row.detail.endswith("(there is no clip_0003.avi)")


def test_a_manifest_of_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"video")
    (tmp_path / "._a.avi").write_bytes(b"x")
    (tmp_path / "folder.avi").mkdir()
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "ring.avi").symlink_to("ring.avi")
    (tmp_path / "gone.avi").symlink_to("nowhere")
    names = ["a.avi", "._a.avi", "folder.avi", "pipe.avi", "ring.avi", "gone.avi", "y" * 300]
    found = manifest(tmp_path, [*names, "__MACOSX/a.avi"])
    why = {row.clip_id: (row.status, row.detail) for row in found.audit}
    assert [clip.clip_id for clip in found.clips if clip.path] == ["clip0"]
    assert not {"clip1", "clip7"} & {clip.clip_id for clip in found.clips}
    expected = {
        1: ("passed_over", "what a system leaves"),
        2: ("no_video", "is a folder"),
        3: ("no_video", "is a pipe"),
        4: ("no_video", "symbolic links"),
        5: ("no_video", "is a link to a file that is not there"),
        6: ("no_video", "File name too long"),
        7: ("passed_over", "what a system leaves"),
    }
    for number, (status, detail) in expected.items():
        assert why[f"clip{number}"][0] == status
        assert detail in why[f"clip{number}"][1]


def test_droppings_are_none_of_affectnets_images(expressions: Path) -> None:
    folder = next(path.parent for path in expressions.rglob("annotations"))
    with tempfile.TemporaryDirectory() as copy:
        source = Path(shutil.copytree(folder, Path(copy) / "affectnet"))
        wanted, audit = read_affectnet(source)
        for place in ("images", "annotations"):
            for file in [*(source / place).iterdir()]:
                file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
            (source / place / ".DS_Store").write_bytes(b"x")
        found, again = read_affectnet(source)
    assert len(found) == len(wanted)
    assert again == audit
