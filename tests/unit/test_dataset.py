import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.clips import read_clips
from affectflow.dataset.index import Index, build_index, level_counts, shard_of, write_index
from affectflow.dataset.tasks import DAISEE_TASKS, read_tasks
from affectflow.errors import UserError
from affectflow.evaluation.report import evaluate

HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration "
SPLITS = ("Train", "Validation", "Test")


def add_video(root: Path, split: str, clip: str, suffix: str = ".avi", size: int = 3) -> Path:
    folder = root / "DataSet" / split / clip[:6] / clip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{clip}{suffix}"
    path.write_bytes(b"x" * size)
    return path


def write_labels(root: Path, split: str, rows: list[str]) -> Path:
    path = root / "Labels" / f"{split}Labels.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One clip per split, as DAiSEE has them."""
    for split, clip, suffix in zip(
        SPLITS, ("1100011001", "2100011001", "3100011001"), (".avi", ".mp4", ".avi"), strict=True
    ):
        add_video(tmp_path, split, clip, suffix)
        write_labels(tmp_path, split, [f"{clip}{suffix},0,2,1,0"])
    return tmp_path


def index(root: Path, shards: int = 4) -> Index:
    return build_index({"layout": "daisee", "root": str(root)}, shards)


def audit(root: Path) -> list[tuple[str, str]]:
    return [(row.clip_id, row.status) for row in index(root).audit]


def test_layout_as_distributed(root: Path, tmp_path: Path) -> None:
    found = index(root)
    assert [(c.clip_id, c.subject, c.split, c.status) for c in found.clips] == [
        ("1100011001", "110001", "train", "ok"),
        ("2100011001", "210001", "validation", "ok"),
        ("3100011001", "310001", "test", "ok"),
    ]
    assert found.clips[1].path == "DataSet/Validation/210001/2100011001/2100011001.mp4"
    assert dict(found.clips[0].levels) == {
        "boredom": 0, "engagement": 2, "confusion": 1, "frustration": 0,
    }  # fmt: skip
    assert found.audit == []


def test_tables_read_back(root: Path, tmp_path: Path) -> None:
    write_index(index(root), tmp_path / "out")
    tasks = read_tasks(tmp_path / "out" / "tasks.json")
    assert tasks == DAISEE_TASKS
    clips = read_clips(tmp_path / "out" / "clips.csv", tasks)
    assert list(clips.columns) == [
        "clip_id", "subject", "split", "path", "shard",
        "boredom", "engagement", "confusion", "frustration", "status",
    ]  # fmt: skip
    assert clips["engagement"].tolist() == [2, 2, 2]
    assert clips["subject"].tolist() == ["110001", "210001", "310001"]


# Table 4.1 of the dissertation (Abraham 2022); its test frustration 2 is a slip for 23.
TABLE_4_1 = {
    "Train": [
        [2433, 1696, 1073, 156], [34, 213, 2617, 2494], [3616, 1245, 431, 66], [4183, 941, 191, 43],
    ],
    "Validation": [
        [446, 376, 475, 132], [23, 143, 813, 450], [942, 322, 153, 12], [1058, 271, 81, 19],
    ],
    "Test": [
        [823, 584, 338, 39], [4, 84, 882, 814], [1200, 427, 136, 21], [1388, 316, 57, 23],
    ],
}  # fmt: skip


def test_level_counts_are_table_4_1(tmp_path: Path) -> None:
    for i, (split, states) in enumerate(TABLE_4_1.items()):
        columns = [[level for level, n in enumerate(counts) for _ in range(n)] for counts in states]
        rows = [
            f"{i + 1}00{n % 60:03d}{n:04d}.avi,{','.join(map(str, levels))}"
            for n, levels in enumerate(zip(*columns, strict=True))
        ]
        write_labels(tmp_path, split, rows)
        add_video(tmp_path, split, f"{i + 1}000000000")
    counts = level_counts(index(tmp_path))
    for split, states in TABLE_4_1.items():
        for task, expected in zip(DAISEE_TASKS, states, strict=True):
            row = next(r for r in counts if (r["split"], r["state"]) == (split.lower(), task.name))
            assert [row[f"level_{level}"] for level in range(4)] == expected
            assert row["total"] == sum(expected)


def test_what_does_not_match_is_audited(root: Path) -> None:
    add_video(root, "Train", "1100011002")
    write_labels(root, "Train", ["1100011001.avi,0,2,1,0", "1100011099.avi,1,1,1,1"])
    assert audit(root) == [("1100011002", "unlabelled"), ("1100011099", "no_video")]
    statuses = {clip.clip_id: clip.status for clip in index(root).clips}
    assert statuses["1100011002"] == "unlabelled"
    assert statuses["1100011099"] == "no_video"


def test_all_labels_explains_but_is_not_used(root: Path) -> None:
    add_video(root, "Train", "1100011002")
    write_labels(root, "All", ["1100011001.avi,0,2,1,0", "1100011002.avi,3,3,3,3"])
    found = index(root)
    row = next(row for row in found.audit if row.clip_id == "1100011002")
    assert row.status == "unlabelled"
    assert "AllLabels.csv has one" in row.detail


def test_level_out_of_range_is_audited_and_not_used(root: Path) -> None:
    write_labels(root, "Train", ["1100011001.avi,0,7,1,0"])
    found = index(root)
    assert ("1100011001", "level_out_of_range") in [(r.clip_id, r.status) for r in found.audit]
    assert found.clips[0].levels["engagement"] is None
    assert found.clips[0].levels["boredom"] == 0
    assert "high < very high, 2 labels, 1 of no such level" in found.understood[1]


def test_repeated_rows(root: Path) -> None:
    write_labels(root, "Train", ["1100011001.avi,0,2,1,0", "1100011001.avi,0,2,1,0"])
    assert audit(root) == [("1100011001", "duplicate_label")]
    assert index(root).clips[0].status == "ok"
    write_labels(root, "Train", ["1100011001.avi,0,2,1,0", "1100011001.avi,0,3,1,0"])
    assert ("1100011001", "conflicting_label") in audit(root)
    assert index(root).clips[0].status == "unlabelled"


def test_second_video_of_a_clip(root: Path) -> None:
    add_video(root, "Train", "1100011001", ".mp4")
    assert audit(root) == [("1100011001", "duplicate_video")]
    assert index(root).clips[0].path.endswith(".avi")


@pytest.mark.parametrize("cell", ["NA", "nan", "NULL", "n/a", "-", "#N/A", "99"])
def test_a_missing_word_in_a_label_file_is_audited(root: Path, cell: str) -> None:
    (root / "Labels" / "TrainLabels.csv").write_text(f"{HEADER}\n1100011001.avi,0,{cell},1,0\n")
    found = build_index({"layout": "daisee", "root": str(root), "missing": [99]}, 4)
    assert ("1100011001", "missing_level") in [(row.clip_id, row.status) for row in found.audit]
    assert found.clips[0].levels["engagement"] is None
    assert any(
        line.startswith("engagement: ordinal") and "1 missing" in line for line in found.understood
    )


def test_empty_level_is_missing(root: Path) -> None:
    write_labels(root, "Train", ["1100011001.avi,0,,1,0"])
    assert audit(root) == [("1100011001", "missing_level")]
    assert index(root).clips[0].levels["engagement"] is None


def test_subject_on_two_sides_is_an_error(root: Path) -> None:
    add_video(root, "Test", "1100011009")
    with pytest.raises(UserError, match=r"subject 110001 is in test .* train"):
        index(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "TrainLabels.csv: is empty"),
        (HEADER + "\n", "has a header but no row"),
        ("ClipID,Boredom\n1.avi,0\n", "has no column Engagement"),
        (HEADER + "\n1100011001.avi,0,two,1,0\n", "row 2, column Engagement: 'two' is not a level"),
        (HEADER + "\n1100011001.avi,0,1.5,1,0\n", "'1.5' is not a level"),
        (HEADER + "\n1100011001.avi,0,inf,1,0\n", "'inf' is not a level"),
        (HEADER + "\n1100011001.avi,0,100%,1,0\n", "'100%' is not a level"),
        (HEADER + "\n1100011001.avi,0,1,0\n", "row 2 has 4 cells, the header 5"),
    ],
)
def test_bad_label_file_is_named(root: Path, content: str, message: str) -> None:
    (root / "Labels" / "TrainLabels.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        index(root)


def test_label_file_that_is_not_text(root: Path) -> None:
    (root / "Labels" / "TrainLabels.csv").write_bytes(b"ClipID,\xff\x81bad")
    with pytest.raises(UserError, match=r"TrainLabels\.csv: is not UTF-8"):
        index(root)


@pytest.mark.parametrize("missing", ["DataSet", "Labels", "Labels/TestLabels.csv"])
def test_missing_part_is_named(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(UserError, match=missing):
        index(root)


def test_no_video_at_all(root: Path) -> None:
    for video in (root / "DataSet").rglob("*.*"):
        video.unlink()
    with pytest.raises(UserError, match="there is no video"):
        index(root)


def test_digests_follow_content(root: Path) -> None:
    before = index(root)
    video = add_video(root, "Train", "1100011001")
    assert index(root).digest() == before.digest(), "a touched video is the same video"
    write_labels(root, "Train", ["1100011001.avi,3,3,3,3"])
    assert index(root).digest() == before.digest(), "a label is no pixel"
    video.write_bytes(b"another video")
    after = index(root)
    changed = {s for s in range(4) if after.shard_digest(s) != before.shard_digest(s)}
    assert changed == {shard_of("1100011001", 4)}
    assert after.digest() != before.digest()


def test_new_clip_touches_its_shard_only(root: Path) -> None:
    before = index(root, 16)
    add_video(root, "Train", "1100011777")
    after = index(root, 16)
    changed = {s for s in range(16) if after.shard_digest(s) != before.shard_digest(s)}
    assert changed == {shard_of("1100011777", 16)}


@given(st.lists(st.text(max_size=12), min_size=1, unique=True), st.integers(1, 50))
def test_shards_are_a_partition(ids: list[str], shards: int) -> None:
    places = [shard_of(clip, shards) for clip in ids]
    assert all(0 <= place < shards for place in places)
    assert places == [shard_of(clip, shards) for clip in ids]


def test_shards_are_even() -> None:
    sizes = Counter(shard_of(f"{n:010d}", 32) for n in range(9068))
    assert min(sizes.values()) > 200 and max(sizes.values()) < 370


def write_manifest(folder: Path, rows: list[dict[str, str]]) -> dict[str, str]:
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["path"].endswith(".mp4"):
            (folder / row["path"]).write_bytes(b"video")
    return {"layout": "manifest", "clips": str(folder / "clips.csv")}


COLUMNS = ("clip_id", "subject", "split", "path", "mood", "effort")
ROWS = [
    dict(zip(COLUMNS, row, strict=True))
    for row in (
        ("a", "s1", "train", "a.mp4", "calm", "4"),
        ("b", "s2", "Validation", "b.mp4", "sad", "0"),
        ("c", "s3", "test", "c.mp4", "calm", ""),
    )
]


def test_manifest_infers_tasks(tmp_path: Path) -> None:
    found = build_index(write_manifest(tmp_path, ROWS), 2)
    assert [(t.name, t.kind, t.levels) for t in found.tasks] == [
        ("mood", "nominal", ("calm", "sad")),
        ("effort", "ordinal", ("0", "1", "2", "3", "4")),
    ]
    assert [clip.levels["mood"] for clip in found.clips] == [0, 1, 0]
    assert [clip.levels["effort"] for clip in found.clips] == [4, 0, None]
    assert [(row.clip_id, row.status) for row in found.audit] == [("c", "missing_level")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("7", "07", True),
        ("7", "7.0", True),
        ("Zo\u00eb", "Zoe\u0308", True),
        ("7", "70", False),
        ("s1", "s10", False),
        ("0", "1", False),
    ],
)
def test_a_person_under_two_spellings_is_asked_about(
    tmp_path: Path, one: str, other: str, same: bool
) -> None:
    rows = [ROWS[0] | {"subject": one}, ROWS[1] | {"subject": other}, ROWS[2]]
    settings = write_manifest(tmp_path, rows)
    if same:
        with pytest.raises(UserError, match="one person or two"):
            build_index(settings, 2)
    else:
        assert len(build_index(settings, 2).clips) == 3


def test_manifest_follows_declared_tasks(tmp_path: Path) -> None:
    settings = write_manifest(tmp_path, ROWS) | {
        "tasks": {"mood": {"kind": "ordinal", "levels": ["sad", "calm", "happy"]}}
    }
    found = build_index(settings, 2)
    assert [(t.name, t.kind, t.levels) for t in found.tasks] == [
        ("mood", "ordinal", ("sad", "calm", "happy"))
    ]
    assert [clip.levels["mood"] for clip in found.clips] == [1, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"subject": ""}, "row 2 has no subject"),
        ({"subject": "s2"}, "subject s2 is in train"),
        ({"subject": "S 2"}, r"'S 2' \(clip a\) and 's2' \(clip b\): one person or two"),
    ],
)
def test_manifest_mistakes_are_named(tmp_path: Path, change: dict, message: str) -> None:
    rows = [ROWS[0] | change, *ROWS[1:]]
    with pytest.raises(UserError, match=message):
        build_index(write_manifest(tmp_path, rows), 2)


def test_manifest_without_any_video(tmp_path: Path) -> None:
    settings = write_manifest(tmp_path, ROWS) | {"root": str(tmp_path / "elsewhere")}
    with pytest.raises(UserError, match=r"none of its 3 videos .*\n.*dataset\.root"):
        build_index(settings, 2)


def test_whole_numbers_written_as_floats(tmp_path: Path) -> None:
    """A table program writes 1.0 where a column has an empty cell."""
    rows = [ROWS[0] | {"effort": "1.0"}, ROWS[1] | {"effort": "5.0"}, ROWS[2]]
    found = build_index(write_manifest(tmp_path, rows), 2)
    effort = found.tasks[1]
    assert (effort.kind, effort.levels) == ("ordinal", ("1", "2", "3", "4", "5"))
    assert [clip.levels["effort"] for clip in found.clips] == [0, 4, None]


def test_a_level_0_in_the_test_split_alone_counts(tmp_path: Path) -> None:
    rows = [
        {"clip_id": f"c{n}", "subject": f"s{n}", "split": split, "path": "a.mp4", "effort": level}
        for n, (split, level) in enumerate([("train", "1"), ("train", "3"), ("test", "0")])
    ]
    found = build_index(write_manifest(tmp_path, rows), 2)
    assert found.tasks[0].levels == ("0", "1", "2", "3")
    assert sorted(clip.levels["effort"] for clip in found.clips) == [0, 1, 3]


def test_pages_name_levels_from_1_as_the_table_does(tmp_path: Path) -> None:
    rows = [
        {"clip_id": f"c{n}", "subject": f"s{n}", "split": "test", "path": "a.mp4", "effort": str(n)}
        for n in range(1, 6)
    ]
    found = build_index(write_manifest(tmp_path, rows), 2)
    write_index(found, tmp_path)
    tasks = read_tasks(tmp_path / "tasks.json")
    clips = read_clips(tmp_path / "clips.csv", tasks)
    assert {clip.clip_id: clip.levels["effort"] for clip in found.clips} == {
        f"c{n}": n - 1 for n in range(1, 6)
    }
    probabilities = {f"p_{level}": 1.0 * (level == 4) for level in range(5)}
    predictions = clips.rename(columns={"effort": "label"}).assign(
        task="effort", predicted=4, **probabilities
    )
    scores = evaluate(predictions, clips, tasks, resamples=10)["splits"]["test"]["effort"]
    assert scores["levels"] == ["1", "2", "3", "4", "5"]
    assert scores["confusion"][0] == [0, 0, 0, 0, 1]
    assert scores["metrics"]["mse"]["value"] == (16 + 9 + 4 + 1 + 0) / 5


def test_declared_levels_are_looked_up_by_name(tmp_path: Path) -> None:
    rows = [ROWS[0] | {"effort": "1.0"}, ROWS[1] | {"effort": "5"}, ROWS[2] | {"effort": "0"}]
    settings = write_manifest(tmp_path, rows) | {"tasks": {"effort": {"levels": [1, 2, 3, 4, 5]}}}
    found = build_index(settings, 2)
    assert found.tasks[0].kind == "ordinal"
    assert [clip.levels["effort"] for clip in found.clips] == [0, 4, None]
    assert ("c", "level_out_of_range") in [(row.clip_id, row.status) for row in found.audit]


def test_column_of_milliseconds_is_no_task(tmp_path: Path) -> None:
    rows = [row | {"effort": "1700000000"} for row in ROWS]
    with pytest.raises(UserError, match=r"column effort has whole numbers up to 1700000000: is"):
        build_index(write_manifest(tmp_path, rows), 2)


def test_manifest_task_that_is_no_column(tmp_path: Path) -> None:
    settings = write_manifest(tmp_path, ROWS) | {"tasks": {"mod": None}}
    with pytest.raises(UserError, match="Did you mean 'mood'"):
        build_index(settings, 2)


def test_real_corpus(real_corpus: Path) -> None:
    assert audit(real_corpus) == [("2100011003", "unlabelled"), ("2100011099", "no_video")]
