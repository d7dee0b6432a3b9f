import hashlib
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from affectflow.demo.corpus import film, write_corpus, write_video
from affectflow.demo.performance import Levels, perform
from affectflow.demo.plan import SHARES, Clip, Quirk, plan_corpus
from affectflow.errors import UserError

CALM = Levels(boredom=0, engagement=2, confusion=0, frustration=0)
SPLITS = ("Train", "Validation", "Test")


def clip(name: str = "9100010001.avi", levels: Levels = CALM, quirk: Quirk = Quirk.NONE) -> Clip:
    return Clip("Train", name[:6], name, levels, quirk)


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


planned = cache(plan_corpus)


def labelled(split: str, seed: int = 1) -> list[Clip]:
    unlabelled = (Quirk.NO_LABEL, Quirk.NO_VIDEO)
    return [c for c in planned(seed) if c.split == split and c.quirk not in unlabelled]


def table(clips: list[Clip]) -> np.ndarray:
    return np.array([[getattr(c.levels, state) for state in SHARES] for c in clips])


@pytest.fixture(scope="module")
def one_of_each() -> list[Clip]:
    """A clip of each kind that only the writing can show, as few as will do."""
    wanted = (Quirk.EMPTY, Quirk.CUT, Quirk.NO_LABEL, Quirk.NO_VIDEO, Quirk.NOT_IN_ALL)
    plan = planned(1)
    return [next(c for c in plan if c.quirk is quirk) for quirk in wanted]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, one_of_each: list[Clip]) -> Path:
    root = tmp_path_factory.mktemp("demo") / "corpus"
    write_corpus(one_of_each, root, seed=1, workers=1, frames=30)
    return root


def rows(root: Path, split: str) -> list[str]:
    return (root / "Labels" / f"{split}Labels.csv").read_bytes().decode("ascii").split("\n")


def test_videos_lie_as_in_daisee(corpus: Path, one_of_each: list[Clip]) -> None:
    found = {str(p.relative_to(corpus)) for p in (corpus / "DataSet").rglob("*") if p.is_file()}
    assert found == {
        f"DataSet/{c.split}/{c.name[:6]}/{c.name[:10]}/{c.name}"
        for c in one_of_each
        if c.quirk is not Quirk.NO_VIDEO
    }


def test_labels_are_written_as_daisee_writes_them(corpus: Path) -> None:
    for split in (*SPLITS, "All"):
        header, *body, end = rows(corpus, split)
        assert header == "ClipID,Boredom,Engagement,Confusion,Frustration "
        assert end == ""
        for row in body:
            name, *levels = row.split(",")
            assert name.endswith((".avi", ".mp4"))
            assert {int(level) for level in levels} <= {0, 1, 2, 3}


def test_labels_go_missing_as_they_do_in_daisee(corpus: Path, one_of_each: list[Clip]) -> None:
    by_quirk = {c.quirk: c for c in one_of_each}

    def listed(quirk: Quirk, file: str) -> bool:
        return any(row.startswith(by_quirk[quirk].name + ",") for row in rows(corpus, file))

    assert not listed(Quirk.NO_LABEL, "All")
    assert not listed(Quirk.NO_LABEL, by_quirk[Quirk.NO_LABEL].split)
    assert listed(Quirk.NO_VIDEO, by_quirk[Quirk.NO_VIDEO].split)
    assert listed(Quirk.NOT_IN_ALL, by_quirk[Quirk.NOT_IN_ALL].split)
    assert not listed(Quirk.NOT_IN_ALL, "All")


def test_a_cut_video_gives_its_first_frames(corpus: Path, one_of_each: list[Clip]) -> None:
    counts = {
        c.quirk: len(decode(corpus / "DataSet" / c.folder / c.name))
        for c in one_of_each
        if c.quirk in (Quirk.NO_LABEL, Quirk.NOT_IN_ALL, Quirk.CUT)
    }
    assert counts[Quirk.NO_LABEL] == counts[Quirk.NOT_IN_ALL] == 30
    assert 0 < counts[Quirk.CUT] < 30


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mp4", "h264")])
def test_videos_are_encoded_as_in_daisee(tmp_path: Path, name: str, codec: str) -> None:
    if codec == "h264" and "libx264" not in av.codecs_available:
        codec = "mpeg4"
    write_video(tmp_path / name, film(clip(), frames=20))
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == codec
        assert (stream.width, stream.height, stream.average_rate) == (640, 480, 30)
        if name.endswith("avi"):
            assert stream.codec_context.codec_tag == "XVID"
    assert len(decode(tmp_path / name)) == 20


def test_a_clip_lasts_ten_seconds() -> None:
    assert sum(1 for _ in film(clip())) == 300


def test_same_seed_same_bytes(tmp_path: Path, corpus: Path, one_of_each: list[Clip]) -> None:
    few = [c for c in one_of_each if c.quirk is not Quirk.NO_LABEL]
    write_corpus(few, tmp_path / "again", seed=1, workers=2, frames=30)
    again, first = digests(tmp_path / "again"), digests(corpus)
    videos = [name for name in again if name.startswith("DataSet")]
    assert videos
    assert {name: again[name] for name in videos}.items() <= first.items()


def test_same_seed_same_plan() -> None:
    assert plan_corpus(1) == plan_corpus(1)


def test_another_seed_draws_other_people_and_deals_other_levels() -> None:
    ours, theirs = (next(film(clip(), seed, frames=2)) for seed in (1, 2))
    assert np.abs(ours.astype(int) - theirs).mean() > 5
    assert (table(labelled("Train", 1)) != table(labelled("Train", 2))).any()


def test_a_corpus_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    empty = [clip(quirk=Quirk.EMPTY)]
    root = tmp_path / "corpus"
    write_corpus(empty, root, workers=1)
    stale = root / "DataSet" / "stale"
    stale.touch()
    write_corpus(empty, root, workers=1)
    assert not stale.exists()

    precious = tmp_path / "daisee" / "DataSet" / "Train"
    precious.mkdir(parents=True)
    with pytest.raises(UserError, match="daisee"):
        write_corpus(empty, tmp_path / "daisee", workers=1)
    assert precious.is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "daisee"}


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not"):
        write_corpus([clip("nothing.avi")], tmp_path / "corpus", workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_subjects_keep_to_one_split_and_one_extension(seed: int) -> None:
    clips = planned(seed)
    assert len({c.name for c in clips}) == len(clips) >= 48
    assert all(c.name.startswith(c.subject) and len(c.subject) == 6 for c in clips)
    subjects = {c.subject for c in clips}
    assert len(subjects) >= 10
    assert len({(c.subject, c.split) for c in clips}) == len(subjects)
    assert len({(c.subject, c.name[-3:]) for c in clips}) == len(subjects)
    assert {c.name[-3:] for c in clips} == {"avi", "mp4"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_quirk_is_there(seed: int) -> None:
    assert {c.quirk for c in planned(seed)} == set(Quirk)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("split", ["Train", "Test"])
def test_levels_are_unbalanced_and_all_there(seed: int, split: str) -> None:
    boredom, engagement, confusion, frustration = (
        Counter(column) for column in table(labelled(split, seed)).T.tolist()
    )
    for counts in (boredom, engagement, confusion, frustration):
        assert min(counts[level] for level in range(4)) >= 2
    assert engagement[2] + engagement[3] > 0.55 * engagement.total()
    assert frustration[0] > 0.5 * frustration.total()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("split", ["Train", "Test"])
def test_levels_tell_nothing_but_themselves(seed: int, split: str) -> None:
    clips = labelled(split, seed)
    levels = table(clips)
    order = [int(c.name[6:10]) for c in clips]
    extension = [c.name.endswith("avi") for c in clips]
    links = np.corrcoef(np.column_stack([levels, order, extension]).T)[:4]
    assert np.abs(links[~np.eye(4, 6, dtype=bool)]).max() < 0.35
    # guessing each clip from the subject's other clips does no better than chance
    subjects = np.array([c.subject for c in clips])
    for column in levels.T:
        guess = [
            round(column[(subjects == s) & (np.arange(len(column)) != i)].mean())
            for i, s in enumerate(subjects)
        ]
        assert cohen_kappa_score(column, guess, weights="quadratic") < 0.2


@pytest.mark.parametrize(
    ("state", "movement"),
    [
        ("engagement", lambda face, pose: face.mouth),
        ("boredom", lambda face, pose: -face.eyes),
        ("boredom", lambda face, pose: pose.yaw),
        ("confusion", lambda face, pose: pose.tilt),
        ("confusion", lambda face, pose: face.raised),
        ("frustration", lambda face, pose: face.frown),
    ],
)
def test_more_of_a_state_moves_its_part_of_the_face_more(state, movement) -> None:
    def average(level: int, seed: int) -> float:
        levels = replace(CALM, **{state: level})
        acted = perform(levels, 150, 10.0, np.random.default_rng(seed))
        return float(np.mean([movement(face, pose) for face, pose in acted]))

    averages = np.array([[average(level, seed) for level in range(4)] for seed in range(20)])
    assert averages[:, 0].max() < averages[:, 3].min()
    assert (np.diff(averages.mean(axis=0)) > 0).all()


def test_levels_show_in_the_face_alone() -> None:
    calm = np.stack(list(film(clip(), frames=16)))
    stirred = np.stack(list(film(clip(levels=Levels(3, 0, 3, 3)), frames=16)))
    changed = np.abs(calm.astype(int) - stirred).max(axis=(0, 3)) > 0
    assert changed.any(axis=0).sum() < 360
    assert changed.any(axis=1).sum() < 440
    assert 0 < changed.mean() < 0.35


@pytest.fixture(scope="module")
def mtcnn():
    from facenet_pytorch import MTCNN

    return MTCNN(min_face_size=60, keep_all=True)


@pytest.mark.parametrize("subject", ["910001", "920003", "930004"])
@pytest.mark.parametrize("levels", [CALM, Levels(3, 0, 2, 0), Levels(0, 3, 0, 3)])
def test_mtcnn_is_sure_of_the_face(mtcnn, subject: str, levels: Levels) -> None:
    frame = next(film(clip(f"{subject}0001.avi", levels), frames=3))
    boxes, scores = mtcnn.detect(frame)
    assert boxes is not None
    assert float(scores[0]) > 0.9
    x0, y0, x1, y1 = np.array(boxes[0], float)
    assert 90 < x1 - x0 < 220
    assert 120 < y1 - y0 < 300
    assert 200 < (x0 + x1) / 2 < 440


@pytest.mark.parametrize("quirk", [Quirk.LEAVES, Quirk.HIDES])
def test_mtcnn_finds_nobody_while_the_subject_is_away(mtcnn, quirk: Quirk) -> None:
    frames = list(film(clip(quirk=quirk), frames=9))
    assert mtcnn.detect(frames[0])[0] is not None
    assert mtcnn.detect(frames[4])[0] is None
    assert mtcnn.detect(frames[8])[0] is not None
