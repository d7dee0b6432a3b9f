import warnings
from xml.etree import ElementTree

import h5py
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from affectflow.dataset.tasks import DAISEE_TASKS, Task
from affectflow.evaluation.report import evaluate
from affectflow.evaluation.tables import results_table
from affectflow.figures import confusion, history, levels, overview, similarity, style
from affectflow.published import similarity as published_similarity

HOSTILE = Task("$a_b^{ <&>\n" + "long " * 30, "nominal", tuple(f"$level_{i}^{{" for i in range(7)))


def metrics(tasks, split="test", count=80, subjects=5, predict=None):
    rng = np.random.default_rng(0)
    clips = pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in range(count)],
            "subject": [f"s{i % max(subjects, 1)}" for i in range(count)],
            "split": split,
        }
    )
    for task in tasks:
        clips[task.name] = pd.array(rng.integers(0, len(task.levels), count), dtype="Int64")
    predictions = clips.melt(["clip_id", "subject", "split"], var_name="task", value_name="label")
    predictions["predicted"] = predictions["label"] if predict is None else predict
    return evaluate(predictions, clips, tasks, resamples=30)


def nothing_scored(tasks):
    clips = pd.DataFrame({"clip_id": ["a"], "subject": ["s"], "split": ["test"]})
    for task in tasks:
        clips[task.name] = pd.array([0], dtype="Int64")
    columns = ["clip_id", "subject", "split", "task", "label", "predicted"]
    return evaluate(pd.DataFrame(columns=columns).astype({"predicted": "int64"}), clips, tasks)


def levels_table(tasks):
    rows = [
        {"split": split, "state": task.name}
        | {f"level_{k}": k * 10 for k in range(len(task.levels))}
        for split in ("train", "test")
        for task in tasks
    ]
    return pd.DataFrame(rows)


def losses(epochs, validation=True):
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 4.0 / epoch,
            "validation_loss": 5.0 / epoch if validation else np.nan,
        }
    )


def similar(clips, frames, faces=True):
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(clips, frames, 8)) + 1
    return similarity.frame_similarity(embedding, np.full((clips, frames), faces))


DRAWINGS = {
    "levels": lambda: levels.draw(levels_table(DAISEE_TASKS), DAISEE_TASKS),
    "levels, hostile names": lambda: levels.draw(levels_table([HOSTILE]), [HOSTILE]),
    "levels, none": lambda: levels.draw(levels_table(DAISEE_TASKS)[:0], DAISEE_TASKS),
    "similarity": lambda: similarity.draw(similar(20, 30), "resnet18"),
    "similarity, one frame": lambda: similarity.draw(similar(1, 1), "$x^{"),
    "similarity, no face": lambda: similarity.draw(similar(3, 5, False), "resnet18"),
    "similarity, with the published value": lambda: similarity.draw(
        similar(20, 30), "resnet18", True
    ),
    "similarity, no face, daisee": lambda: similarity.draw(similar(3, 5, False), "x", True),
    "similarity, no clip": lambda: similarity.draw(similar(0, 5), "resnet18"),
    "confusion": lambda: confusion.draw(metrics(DAISEE_TASKS), "lstm"),
    "confusion, collapsed": lambda: confusion.draw(metrics(DAISEE_TASKS, predict=1), "lstm"),
    "confusion, hostile names": lambda: confusion.draw(metrics([HOSTILE], subjects=1), "$x^{ <&>"),
    "confusion, not scored": lambda: confusion.draw(nothing_scored(DAISEE_TASKS), "lstm"),
    "confusion, no split": lambda: confusion.draw(metrics(DAISEE_TASKS), "lstm", "train"),
    "history": lambda: history.draw(losses(100), "lstm", 40),
    "history, one epoch": lambda: history.draw(losses(1, validation=False), "$x^{", 1),
    "history, none": lambda: history.draw(losses(0), "lstm"),
    "overview": lambda: overview.draw(
        results_table({f"experiment {i}": metrics(DAISEE_TASKS, predict=i) for i in (0, 1, None)})
    ),
    "overview, one subject": lambda: overview.draw(
        results_table({"long $x^{ " * 20: metrics([HOSTILE], subjects=1)})
    ),
    "overview, not scored": lambda: overview.draw(
        results_table({"lstm": nothing_scored(DAISEE_TASKS)})
    ),
    "overview, none": lambda: overview.draw(results_table({})),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_figures_render_on_degenerate_data_too(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = DRAWINGS[name]()
        style.save(figure, tmp_path / "figure.png")
    pixels = matplotlib.image.imread(tmp_path / "figure.png")
    assert pixels.shape[0] > 100
    assert (pixels[..., :3] < 0.9).any()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("levels", "svg"),
        ("similarity", "svg"),
        ("confusion", "svg"),
        ("history", "svg"),
        ("overview", "svg"),
        ("history", "png"),
    ],
)
def test_figures_are_equal_bytes(name, suffix, tmp_path):
    for copy in ("one", "two"):
        style.save(DRAWINGS[name](), tmp_path / f"{copy}.{suffix}")
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["levels", "confusion", "confusion, hostile names"])
def test_svg_is_xml_without_a_date(name, tmp_path):
    style.save(DRAWINGS[name](), tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "<dc:date>" not in text


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def test_confusion_flags_a_head_that_predicts_one_level():
    collapsed = texts(confusion.draw(metrics(DAISEE_TASKS, predict=1), "lstm"))
    assert "boredom: PREDICTS ONE LEVEL" in collapsed
    assert not any("ONE LEVEL" in text for text in texts(confusion.draw(metrics(DAISEE_TASKS), "")))


def test_confusion_shows_counts_shares_and_the_floor():
    found = texts(confusion.draw(metrics(DAISEE_TASKS[:1], predict=1), "lstm"))
    scores = metrics(DAISEE_TASKS[:1], predict=1)["splits"]["test"]["boredom"]
    assert f"{scores['confusion'][3][1]}\n100%" in found
    floor = scores["metrics"]["floor_macro_f1"]["value"]
    assert any(f"(floor {floor:.2f})" in text and "80 of 80" in text for text in found)


def test_levels_show_counts_and_per_cent():
    table = pd.DataFrame([["test", "boredom", 823, 584, 338, 39]])
    table.columns = ["split", "state", "level_0", "level_1", "level_2", "level_3"]
    assert "823\n46.1%" in texts(levels.draw(table, DAISEE_TASKS[:1]))


def test_overview_says_what_was_tested_in_folds():
    task = Task("engagement", "ordinal", ("low", "high"))
    clips = pd.DataFrame({"clip_id": list("abcd"), "subject": list("wxyz"), "split": "test"})
    clips["engagement"] = pd.array([0, 1, 0, 1], dtype="Int64")
    own = clips.rename(columns={"engagement": "label"}).assign(task="engagement", predicted=1)
    metrics = evaluate(own, clips, [task])
    figure = overview.draw(results_table({"cv": metrics, "plain": metrics}), folds={"cv": 5})
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["cv (all subjects, 5 folds)", "plain"]


def test_overview_fills_only_what_beats_a_constant_and_a_guess():
    # Guessing beats the majority's macro-F1, but not its balanced accuracy.
    task = Task("engagement", "ordinal", ("low", "high"))
    rng = np.random.default_rng(0)
    count = 4000
    clips = pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in range(count)],
            "subject": [f"s{i % 40}" for i in range(count)],
            "split": "test",
            "engagement": pd.array(rng.random(count) < 0.2, dtype="Int64"),
        }
    )
    guess = clips.rename(columns={"engagement": "label"}).assign(task="engagement")
    guess["predicted"] = rng.permutation(guess["label"].to_numpy(int))
    skill = guess.assign(
        predicted=guess["label"].where(rng.random(count) < 0.5, guess["predicted"])
    )
    table = results_table(
        {name: evaluate(p, clips, [task]) for name, p in (("guess", guess), ("skill", skill))}
    )
    rows = table.set_index(["experiment", "metric"])
    floor = rows.loc[("guess", "floor_macro_f1"), "value"]
    assert rows.loc[("guess", "macro_f1"), "ci_low"] > floor
    points = [
        line
        for line in overview.draw(table).axes[0].lines
        if line.get_marker() == "o" and len(line.get_xdata()) == 1
    ]
    assert [point.get_markerfacecolor() for point in points] == ["white", style.BLUE]


@given(clips=st.integers(1, 5), frames=st.integers(1, 15), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_similarity_is_equation_4_1(clips, frames, seed):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(clips, frames, 4)).astype(np.float16)
    mask = rng.random((clips, frames)) < 0.7
    found = similarity.frame_similarity(embedding, mask)
    assert found.position[0] == 0
    assert found.position[-1] == frames - 1
    assert len(found.position) == min(frames, 10)
    exact = embedding.astype(float)
    for clip in range(clips):
        faces = np.flatnonzero(mask[clip])
        for place, frame in enumerate(found.position):
            if mask[clip, frame]:
                expected = -(cosine(exact[clip, faces[0]], exact[clip, frame]) - 1)
                assert found.to_first[clip, place] == pytest.approx(expected, abs=1e-9)
            else:
                assert np.isnan(found.to_first[clip, place])
        pairs = [1 - cosine(exact[clip, a], exact[clip, b]) for a in faces for b in faces if a < b]
        expected = np.mean(pairs) if pairs else np.nan
        assert found.pairwise[clip] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def turned(degrees):
    """A clip of frames whose embedding turns away from the first one's."""
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]


def test_equation_4_1_by_hand():
    embedding = turned(np.arange(1, 301))  # frame n, counted from 1, at n degrees
    embedding[0, 0] = [2, 0]  # but the first at none, and of another length
    found = similarity.frame_similarity(embedding, np.ones((1, 300), bool))
    assert found.at_stated == pytest.approx([0.5])
    assert found.to_first[0, 0] == pytest.approx(1)
    assert found.to_first[0, -1] == pytest.approx(0.5)  # cos 300
    table = similarity.summary(found).set_index("frame")
    assert table.loc[60, ["frames", "clips", "p5", "median", "p95"]].tolist() == pytest.approx(
        [300, 1, 0.5, 0.5, 0.5]
    )
    assert len(table) == 11  # the ten of the figure besides


def test_the_stated_frame_needs_a_face_there_and_one_before_it():
    embedding = np.repeat(turned([0, 60, 90, 0, 0, 0, 0, 0, 0, 0]), 4, axis=0)
    mask = np.ones((4, 10), bool)
    mask[1, 1] = mask[2, 0] = mask[3] = False
    # Of ten frames the second shows the time of frame 60 of 300. Clip 3 begins with it.
    found = similarity.frame_similarity(embedding, mask)
    assert found.at_stated == pytest.approx([0.5, np.nan, np.nan, np.nan], nan_ok=True)
    table = similarity.summary(found).set_index("frame")
    assert table["clips"].to_dict() == {1: 2, 2: 1} | dict.fromkeys(range(3, 11), 3)


@pytest.mark.parametrize(("frames", "place"), [(300, 59), (100, 19), (24, 4), (10, 1), (1, 0)])
def test_the_stated_frame_is_found_by_its_time(frames, place):
    assert published_similarity.same_time(frames) == place
    parts = np.arange(frames + 1) * 300 / frames
    assert parts[place] <= 59 < parts[place + 1]


def test_the_figure_marks_the_stated_similarity_where_it_is_compared():
    label = "published, one clip: 0.98 at frame 60 of 300"
    found = similar(20, 300)
    assert label in texts(similarity.draw(found, "resnet18", True))
    assert label not in texts(similarity.draw(found, "resnet18"))


def test_a_shorter_clip_is_sampled_over_its_own_frames():
    embedding = np.random.default_rng(0).normal(size=(2, 300, 8))
    mask = np.arange(300) < np.array([[300], [150]])
    found = similarity.frame_similarity(embedding, mask, counts=np.array([300, 150]))
    alone = similarity.frame_similarity(embedding[1:, :150], mask[1:, :150])
    np.testing.assert_allclose(found.to_first[1], alone.to_first[0])
    np.testing.assert_allclose(found.at_stated[1], alone.at_stated[0])
    whole = similarity.frame_similarity(embedding[:1], mask[:1])
    assert (found.position == whole.position).all()
    np.testing.assert_array_equal(found.to_first[0], whole.to_first[0])


def test_similarity_reads_a_dataset_in_blocks(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(7, 12, 4)).astype(np.float16)
    mask = rng.random((7, 12)) < 0.8
    whole = similarity.frame_similarity(embedding, mask)
    monkeypatch.setattr(similarity, "BLOCK", 3)
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["embedding"], file["mask"] = embedding, mask
        blocks = similarity.frame_similarity(file["embedding"], file["mask"])
    np.testing.assert_allclose(blocks.to_first, whole.to_first, atol=1e-12)
    np.testing.assert_allclose(blocks.pairwise, whole.pairwise, atol=1e-12)
    np.testing.assert_allclose(blocks.at_stated, whole.at_stated, atol=1e-12)


@given(st.text(max_size=200), st.integers(8, 60))
def test_names_fit_on_one_printable_line(name, width):
    drawn = style.plain(name, width)
    assert len(drawn) <= width
    assert drawn.isprintable()
    if len(name) <= width and name.isprintable():
        assert drawn == name


def test_an_interval_that_is_too_narrow_is_seen_to_be():
    # Level 1 is of one subject of eight, whom a third of the resamples lack.
    task = Task("engagement", "ordinal", ("low", "high"))
    clips = pd.DataFrame({"clip_id": [f"c{i}" for i in range(16)], "split": "test"})
    clips["subject"] = [f"s{i // 2}" for i in range(16)]
    clips["engagement"] = pd.array([1, 1, *[0] * 14], dtype="Int64")
    own = clips.rename(columns={"engagement": "label"}).assign(task="engagement")
    scored = evaluate(own.assign(predicted=own["label"]), clips, [task])
    (bar,) = [
        line
        for line in overview.draw(results_table({"x": scored})).axes[0].lines
        if len(line.get_xdata()) == 2
    ]
    assert bar.get_linestyle() == "--"  # what matplotlib calls any dashes
    assert any("]⚠ (floor" in text for text in texts(confusion.draw(scored, "x")))
    wide = evaluate(own.assign(predicted=own["label"]), clips, [task], resamples=0)
    assert not any("⚠" in text for text in texts(confusion.draw(wide, "x")))
