"""Labels find their videos whatever a spreadsheet or another system made of the names."""

from __future__ import annotations

import csv
import logging
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_dataset import HEADER, SPLITS, add_video, root, write_labels

from affectflow import preflight
from affectflow.config.study import Study
from affectflow.dataset.coverage import warnings
from affectflow.dataset.index import Index, build_index
from affectflow.dataset.matching import digits, lost_digits, no_zeros
from affectflow.errors import UserError

__all__ = ["root"]


def daisee(root: Path) -> Index:
    return build_index({"layout": "daisee", "root": str(root)}, 4)


@pytest.mark.parametrize(
    "written",
    [
        "1100011001",
        "1100011001.AVI",
        "1100011001.mov",
        " 1100011001 ",
        "1100011001.0",
        '"1100011001,0"',
        "1100011001.00",
        "1.100011001E+09",
        '"1,100011001E+09"',
        '"1,100,011,001"',
        "1.100.011.001",
        "1 100 011 001",
        "'1100011001",
        "'1100011001'",
        '"=""1100011001"""',
        "DataSet/Train/110001/1100011001/1100011001.avi",
        "DataSet\\Train\\110001\\1100011001\\1100011001.avi",
        "01100011001",
    ],
)
def test_an_id_that_was_rewritten_is_read(root: Path, written: str) -> None:
    write_labels(root, "Train", [f"{written},0,2,1,0"])
    found = daisee(root)
    clip = found.clips[0]
    assert (clip.clip_id, clip.subject, clip.status) == ("1100011001", "110001", "ok")
    assert clip.levels["engagement"] == 2
    assert {row.status for row in found.audit} <= {"id_read_as"}
    for row in found.audit:
        assert row.detail.startswith("TrainLabels.csv, row 2: '")


@pytest.mark.parametrize(
    ("videos", "label", "clip"),
    [
        (["001234"], "1234", "001234"),
        (["120000", "0120000"], "120000", "120000"),
        (["0120000", "00120000"], "120000", None),
        (["0120000", "00120000"], "0120000.0", "0120000"),
        (["Clip_A"], "clip_a", "Clip_A"),
        (["Person_A", "Person_a"], "person_A", None),
        (["0", "000001"], "0", "0"),
    ],
)
def test_an_id_that_fits_two_videos_is_nobodys(
    root: Path, videos: list[str], label: str, clip: str | None
) -> None:
    for video in videos:
        add_video(root, "Train", video)
    write_labels(root, "Train", ["1100011001,0,2,1,0", f"{label},1,1,1,1"])
    statuses = {own.clip_id: own.status for own in daisee(root).clips if own.split == "train"}
    assert [name for name in videos if statuses[name] == "ok"] == ([clip] if clip else [])


def test_a_video_that_is_named_is_nobody_elses(root: Path) -> None:
    write_labels(root, "Train", ["1100011001,0,2,1,0", "01100011001,3,3,3,3"])
    found = daisee(root)
    assert found.clips[1].levels["boredom"] == 0
    assert [(row.clip_id, row.status) for row in found.audit] == [("01100011001", "no_video")]


@given(st.integers(10**7, 10**11))
def test_a_spreadsheets_numbers_are_the_ids_that_they_were(number: int) -> None:
    text = str(number)
    exact = f"{number:.{len(text) - 1}E}"
    for written in (text, f"{text}.0", f"{text},00", exact, exact.replace(".", ",")):
        assert digits(written) == text and not lost_digits(written)
    for separator in ",. '":
        assert digits(f"{number:,}".replace(",", separator)) == text
    assert no_zeros(f"00{text}") == text
    assert lost_digits(f"{number:.2E}")


@pytest.mark.parametrize(
    "written", ["1.1E+09", '"1,1E+09"', "1.10001E+09", "1E+09", "9" * 15 + "00"]
)
def test_an_id_without_its_digits_is_refused(root: Path, written: str) -> None:
    write_labels(root, "Train", ["1100011001,0,2,1,0", *[f"{written},1,1,1,1"] * 2])
    with pytest.raises(UserError, match=r"TrainLabels.csv, row 3: '.*2 such ids.*\n.*as text"):
        daisee(root)


def test_an_id_may_look_like_a_rounded_number(root: Path) -> None:
    add_video(root, "Train", "1E+09")
    write_labels(root, "Train", ["1E+09,0,2,1,0"])
    assert {clip.clip_id: clip.status for clip in daisee(root).clips}["1E+09"] == "ok"


def checked(root: Path, **change: Any) -> Index:
    """What preflight says of a study of one experiment."""
    from test_config import study

    settings = {
        "dataset": {"layout": "daisee", "root": str(root)},
        "experiments": {"a": {"backbone": "resnet18", **change}},
    }
    asked: Study = study(settings)
    return preflight.check(asked)


@pytest.mark.parametrize(
    ("split", "rows", "message"),
    [
        (
            "Test",
            ["31001,0,0,0,0"],
            r"none of the test split's 1 label\(s\) \(31001\) names one of its 1 video\(s\) "
            r"\(3100011001\)\n  The labels' ids have 5 characters, the videos' 10",
        ),
        ("Train", ["a,0,0,0,0", "bb,0,0,0,0"], r"2 label\(s\) \(a, bb\) .*\n.*extension"),
        ("Test", ["2100011001,0,0,0,0"], r"none of the test .*\n  They name videos of the valid"),
        ("Train", ["1100011001,,,,"], r"no clip of the train split has both a video and a label"),
    ],
)
def test_labels_of_no_video_end_a_run_before_it_starts(
    root: Path, split: str, rows: list[str], message: str
) -> None:
    write_labels(root, split, rows)
    with pytest.raises(UserError, match=message) as error:
        checked(root)
    assert error.value.remedy


@pytest.mark.parametrize("split", SPLITS)
def test_labels_without_any_video_of_their_split(root: Path, split: str) -> None:
    shutil.rmtree(root / "DataSet" / split)
    with pytest.raises(UserError, match=f"the {split.lower()} split has 1 label.* and no video"):
        checked(root)


def test_a_sweep_needs_labels_to_choose_by(root: Path) -> None:
    write_labels(root, "Validation", ["2100011001,,,,"])
    with pytest.raises(UserError, match="chooses on the validation split, and no clip in it has"):
        checked(root, epochs=[1, 2])


def test_without_experiments_labels_do_not_matter(root: Path) -> None:
    from test_config import study

    write_labels(root, "Test", ["31001,0,0,0,0"])
    settings = {"dataset": {"root": str(root)}, "backbones": {"resnet18": {"weights": "random"}}}
    without = study(settings | {"experiments": {"lstm": None}})
    assert preflight.check(without).clips


def test_what_is_worth_a_line(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        checked(root)
    assert "boredom: every training clip has one level (very low)" in caplog.text
    write_labels(root, "Train", ["1100011001,0,2,1,", "a,0,0,0,0", "b,0,1,1,1"])
    write_labels(root, "Validation", ["2100011001,,,,"])
    write_labels(root, "Test", ["3100011001,,,,"])
    for n in (1, 2):
        add_video(root, "Train", f"110001101{n}")
    lines = "\n".join(warnings(daisee(root)))
    assert "train: 2 of 3 labels have no video (a, b)" in lines
    assert "train: 2 of 3 videos have no label (1100011011, 1100011012)" in lines
    assert "validation: no clip with a video has a label: the last epoch" in lines
    assert "test: no clip with a video has a label: predictions are made, and noth" in lines
    assert "frustration: no training clip has a label" in lines
    folded = "\n".join(warnings(daisee(root), folded=True))
    assert "the last epoch" not in folded and "frustration: no clip has a label" in folded
    assert "are not read" not in lines
    write_labels(root, "Test", ["3100011001.0,0,0,0,0"])
    assert "1 ids are not read as written (TestLabels.csv, row 2: '31" in "\n".join(
        warnings(daisee(root))
    )


def test_daisee_as_it_is_published_is_worth_no_line(daisee: Path) -> None:
    lines = warnings(build_index({"layout": "daisee", "root": str(daisee)}, 4))
    assert not [line for line in lines if "video" in line or "no training clip" in line]


def manifest(folder: Path, *paths: str, **change: str) -> Index:
    """A study whose first clips have these paths, beside one more."""
    (folder / "videos").mkdir(exist_ok=True)
    (folder / "videos" / "other.mp4").write_bytes(b"video")
    rows = [["clip_id", "subject", "split", "path", "mood"]]
    for n, path in enumerate([*paths, "other.mp4"]):
        rows.append([f"c{n}", f"s{n}", change.get("split", "train"), path, str(n % 2)])
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    settings = {"layout": "manifest", "clips": str(folder / "clips.csv")}
    return build_index(settings | {"root": str(folder / "videos")}, 2)


@pytest.mark.parametrize(
    ("file", "written"),
    [
        ("a/b.mp4", "a\\b.mp4"),
        ("a/b.mp4", ".\\a\\b.mp4"),
        ("a/b.mp4", "{root}/a/b.mp4"),
        ("a/b.mp4", "file://{root}/a/b.mp4"),
        ("a/b c.mp4", "file://{root}/a/b%20c.mp4"),
        ("a/b c.mp4", "a/b%20c.mp4"),
        ("a/b.mp4", "~/videos/a/b.mp4"),
        ("a/b.mp4", "'a/b.mp4'"),
        ("a/b.mp4", " a/b.mp4 "),
        ("a/b.mp4", "a/../a/b.mp4"),
        ("a/b.mp4", "A/B.MP4"),
        ("a/b.mp4", "a/b.avi"),
        ("a/b.mp4", "a/b"),
        ("a/b.MP4", "a/b.mp4"),
        ("1/0012.mp4", "1/12"),
        ("1/1100011002.mp4", "1/1100011002.0"),
        (unicodedata.normalize("NFD", "é/Zoë.mp4"), unicodedata.normalize("NFC", "é/Zoë.mp4")),
        (unicodedata.normalize("NFC", "é/Zoë.mp4"), unicodedata.normalize("NFD", "é/Zoë.mp4")),
        ("a\\b.mp4", "a\\b.mp4"),
        ("100%25.mp4", "100%25.mp4"),
    ],
)
def test_a_path_of_another_system_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, written: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "videos" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"video")
    found = manifest(tmp_path, written.format(root=tmp_path / "videos"))
    assert (tmp_path / "videos" / found.clips[0].path).samefile(path)
    assert found.clips[0].status == "ok"


def test_a_file_that_two_paths_may_mean_is_neithers(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "Bb.mp4", "bB.mp4", "c.mp4", "c.avi"):
        (tmp_path / "videos" / name).write_bytes(b"video")
    found = manifest(tmp_path, "a.mp4", "A.mp4", "bb.mp4", "c", "x" * 300)
    assert [clip.path for clip in found.clips] == ["a.mp4", "", "", "", "", "other.mp4"]


def test_two_paths_that_fit_one_file_name_none(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"video")
    assert [clip.path for clip in manifest(tmp_path, "a.avi", "A.mov").clips[:2]] == ["", ""]


@pytest.mark.parametrize(
    "path",
    [
        "../a.mp4",
        "a/../../b.mp4",
        "..\\a.mp4",
        "/etc/passwd",
        "C:\\videos\\a.mp4",
        "file:///C:/videos/a.mp4",
        "https://example.org/a.mp4",
        "~nobody_of_this_name/a.mp4/../../x",
    ],
)
def test_a_path_that_leads_out(tmp_path: Path, path: str) -> None:
    if path.startswith("~"):
        assert manifest(tmp_path, path).clips[0].path == ""
        return
    with pytest.raises(UserError, match=r"row 2: path .* leads out of dataset.root"):
        manifest(tmp_path, path)


@pytest.mark.parametrize("word", ["val", "Valid", "DEV", "validation"])
def test_other_words_for_a_split(tmp_path: Path, word: str) -> None:
    assert {clip.split for clip in manifest(tmp_path, split=word).clips} == {"validation"}


def test_a_manifests_ids_without_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    rows = [f"1.1E+09,s{n},train,{n}.mp4,0" for n in (1, 2)]
    path.write_text("\n".join(["clip_id,subject,split,path,mood", *rows]))
    with pytest.raises(UserError, match=r"clips.csv: column clip_id: '1.1E\+09' .*2 such ids"):
        build_index({"layout": "manifest", "clips": str(path)}, 2)


def test_the_header_of_the_labels_may_be_anyones(root: Path) -> None:
    rows = ["clip id;BOREDOM;engagement;Confusion;frustration", "1100011001;0;2;1;0"]
    (root / "Labels" / "TrainLabels.csv").write_text("sep=;\n" + "\n".join(rows))
    assert daisee(root).clips[0].status == "ok"
    assert HEADER
