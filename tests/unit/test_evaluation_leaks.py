import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from test_figures_table import HOSTILE, page
from test_shards import write_embeddings

from affectflow.evaluation import leaks as module
from affectflow.evaluation.leaks import (
    COLUMNS,
    EXACT_DUPLICATE,
    MARGIN,
    NEAR_DUPLICATE,
    NOT_FLAGGED,
    SHARED_SUBJECT,
    SHOWN,
    clip_vectors,
    find_leaks,
    nearest,
)
from affectflow.evaluation.tables import write_results
from affectflow.figures.leaks import leaks_html
from affectflow.figures.table import MOST_ROWS
from affectflow.shards.embeddings import join, open_joined
from affectflow.shards.several import JoinedRows

SUBJECTS = {"train": 8, "validation": 3, "test": 4}


def corpus(seed=0, subjects=SUBJECTS, each=10, frames=6, dim=32, person=1.0, within=0.3):
    """Return embeddings, masks, clip ids and a clip table.

    A person is a direction, a clip of theirs lies `within` of it, and frames around the clip.
    """
    rng = np.random.default_rng(seed)
    split = np.repeat([*subjects], [n * each for n in subjects.values()])
    who = np.concatenate([np.repeat(np.arange(n), each) for n in subjects.values()])
    subject = np.array([f"{s}-{w}" for s, w in zip(split, who, strict=True)], dtype=object)
    _, code = np.unique(subject.astype(str), return_inverse=True)
    count = len(subject)
    centre = person * rng.normal(size=(code.max() + 1, dim))[code]
    clip = centre + within * rng.normal(size=(count, dim))
    embedding = clip[:, None] + 0.1 * rng.normal(size=(count, frames, dim))
    mask = rng.random((count, frames)) < 0.8
    mask[:, 0] = True
    names = [f"c{i:03d}" for i in range(count)]
    clips = pd.DataFrame({"clip_id": names, "subject": subject, "split": split})
    return (embedding * mask[..., None]).astype(np.float16), mask, names, clips


def flagged(found):
    return found.rows[found.rows["verdict"] != NOT_FLAGGED]


def copied(embedding, mask, source, target, noise=0.0, seed=1):
    """Make one clip a copy of another, with noise of so much of the embedding's size."""
    rng = np.random.default_rng(seed)
    embedding, mask = embedding.copy(), mask.copy()
    size = noise * np.abs(embedding[source].astype(float)).mean()
    values = embedding[source] + size * rng.normal(size=embedding[source].shape)
    embedding[target] = values * mask[source][:, None]
    mask[target] = mask[source]
    return embedding, mask


@pytest.mark.parametrize("seed", range(20))
def test_different_people_raise_no_alarm(seed):
    found = find_leaks(*corpus(seed))
    assert flagged(found).empty
    assert list(found.rows.columns) == COLUMNS
    assert len(found.rows) == SHOWN
    assert found.rows["distance"].is_monotonic_increasing
    assert (found.compared, found.expected) == (70, 70)
    assert found.threshold == min(found.same_subject, MARGIN * found.other_subject)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dim", [16, 32])
def test_a_backbone_that_knows_nobody_raises_no_alarm(seed, dim):
    # Many clips to choose from: some stranger is nearer than one's own few other clips.
    sizes = {"train": 60, "validation": 5, "test": 20}
    found = find_leaks(*corpus(seed, sizes, each=5, dim=dim, person=0.0, within=1.0))
    assert found.same_subject > found.other_subject
    assert flagged(found).empty


@pytest.mark.parametrize("person", [1.0, 0.0])
@pytest.mark.parametrize(("source", "target"), [(3, 85), (3, 115), (85, 115)])
def test_a_copy_with_noise_is_found(person, source, target):
    embedding, mask, names, clips = corpus(person=person, within=0.3 if person else 1.0)
    embedding, mask = copied(embedding, mask, source, target, noise=0.2)
    rows = flagged(find_leaks(embedding, mask, names, clips))
    assert rows["verdict"].to_list() == [NEAR_DUPLICATE]
    row = rows.iloc[0]
    assert (row["clip_id"], row["nearest_clip_id"]) == (names[target], names[source])
    assert (row["split"], row["nearest_split"]) == (clips["split"][target], clips["split"][source])
    assert (row["subject"], row["nearest_subject"]) == tuple(clips["subject"][[target, source]])
    assert 0 < row["distance"] < row["threshold"]


def test_a_copy_to_the_byte_is_always_found():
    # Also without a second subject anywhere, and if the copy's faces stand at other frames.
    embedding, mask, names, clips = corpus(subjects={"train": 1, "test": 1}, each=3)
    mask[:, -1] = False
    embedding[5], mask[5] = np.roll(embedding[1], 1, axis=0), np.roll(mask[1], 1)
    found = find_leaks(embedding, mask, names, clips)
    assert np.isnan(found.threshold)
    rows = flagged(found)
    assert rows["verdict"].to_list() == [EXACT_DUPLICATE]
    assert rows[["clip_id", "nearest_clip_id", "distance"]].to_numpy().tolist() == [
        ["c005", "c001", 0.0]
    ]
    assert "only exact duplicates" in page(leaks_html(found, "b")).text


def test_copies_within_a_split_are_no_leak_and_hide_none():
    embedding, mask, names, clips = corpus()
    for source, target in [(0, 1), (2, 12), (20, 31), (40, 41), (42, 55)]:  # all in train
        embedding, mask = copied(embedding, mask, source, target)
    assert flagged(find_leaks(embedding, mask, names, clips)).empty
    embedding, mask = copied(embedding, mask, 70, 120, noise=0.2)
    assert flagged(find_leaks(embedding, mask, names, clips))["clip_id"].to_list() == ["c120"]


def with_copies(embedding, mask, names, clips, times, noise, renamed=False, share=1.0):
    """Add copies of the clips of all splits, each to its own split."""
    rng = np.random.default_rng(5)
    parts = [(embedding, mask, names, clips)]
    some = np.flatnonzero(rng.random(len(names)) < share)
    for turn in range(times):
        size = noise * np.abs(embedding.astype(float)).mean()
        more = embedding[some] + size * rng.normal(size=embedding[some].shape)
        table = clips.iloc[some].assign(clip_id=[f"{names[i]}-{turn}" for i in some])
        if renamed:
            table["subject"] += " again"
        kept = mask[some]
        parts.append((more.astype(np.float16) * kept[..., None], kept, [*table["clip_id"]], table))
    embeddings, masks, names_, tables = zip(*parts, strict=True)
    every = [name for part in names_ for name in part]
    return np.concatenate(embeddings), np.concatenate(masks), every, pd.concat(tables)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize(
    "how", [{}, {"each": 1}, {"each": 2}, {"within": 0.1}, {"person": 0.0, "within": 1.0}]
)
def test_many_copies_within_a_split_hide_none_in_another(how, times, noise):
    embedding, mask, names, clips = corpus(seed=2, **how)
    alone = find_leaks(embedding, mask, names, clips)
    assert flagged(alone).empty
    assert flagged(find_leaks(*with_copies(embedding, mask, names, clips, times, noise))).empty
    # One clip of each later split is a changed one of train: by less, or by more, than the copies.
    test, validation = (
        int(np.flatnonzero(clips["split"] == s)[0]) for s in SUBJECTS if s != "train"
    )
    embedding, mask = copied(embedding, mask, 1, test, noise=0.05)
    embedding, mask = copied(embedding, mask, 2, validation, noise=0.2)
    found = find_leaks(*with_copies(embedding, mask, names, clips, times, noise))
    hit = flagged(found)
    assert {name[:4] for name in hit["clip_id"]} == {names[test], names[validation]}
    assert len(hit) == 2 * (times + 1)
    assert {name[:4] for name in hit["nearest_clip_id"]} <= {names[1], names[2], names[test]}
    assert found.threshold > 0.3 * alone.threshold


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_copies_under_other_names_within_a_split_hide_none_in_another(share, noise):
    embedding, mask, names, clips = corpus(seed=2)
    embedding, mask = copied(embedding, mask, 3, 85, noise=0.2)
    crowd = with_copies(embedding, mask, names, clips, 2, noise, renamed=True, share=share)
    hit = flagged(find_leaks(*crowd))
    assert {name[:4] for name in hit["clip_id"]} == {"c085"}


def test_the_mean_distance_is_that_of_all_pairs():
    vector = clip_vectors(*corpus()[:2]).vector
    group = np.repeat([0, 1, 2], [1, 9, 140])
    expected = [cdist(vector[group == g], vector[group == g], "cosine").mean() for g in group]
    np.testing.assert_allclose(module._mean_distance(vector, group), expected, atol=1e-6)


def test_a_person_under_two_names_is_found():
    embedding, mask, names, clips = corpus(within=0.1)
    # Half of a training subject's clips are called a test subject's.
    clips.loc[5:9, ["subject", "split"]] = ["somebody", "test"]
    rows = flagged(find_leaks(embedding, mask, names, clips))
    assert len(rows) >= 1
    assert set(rows["subject"]) == {"somebody"}
    assert set(rows["nearest_subject"]) == {"train-0"}


def test_for_folds_a_person_under_two_names_is_found_within_a_split():
    embedding, mask, names, clips = corpus()
    two = sorted(clips.loc[clips["split"] == "train", "subject"].unique())[0]
    clips = clips.assign(
        subject=[
            f"{subject} again" if subject == two and i % 2 else subject
            for i, subject in enumerate(clips["subject"])
        ]
    )
    assert flagged(find_leaks(embedding, mask, names, clips)).empty
    found = find_leaks(embedding, mask, names, clips, folds=True)
    rows = flagged(found)
    assert not rows.empty
    pairs = {frozenset(pair) for pair in zip(rows["subject"], rows["nearest_subject"], strict=True)}
    assert pairs == {frozenset([two, f"{two} again"])}
    assert found.expected == len(clips)
    assert "other subjects" in page(leaks_html(found, "b", folds=True)).text


def test_for_folds_a_copy_of_another_subjects_clip_is_exact_and_ones_own_is_none():
    embedding, mask, names, clips = corpus()
    clips = clips.assign(split="test")
    subjects = clips["subject"].to_numpy()
    other = int(np.flatnonzero(subjects != subjects[0])[0])
    embedding[other], mask[other] = embedding[0], mask[0]
    embedding[1], mask[1] = embedding[0], mask[0]
    assert subjects[1] == subjects[0]
    rows = find_leaks(embedding, mask, names, clips, folds=True).rows
    exact = rows[rows["verdict"] == EXACT_DUPLICATE]
    assert exact["clip_id"].tolist() == [names[other]]
    assert exact["nearest_clip_id"].isin([names[0], names[1]]).all()


def test_a_subject_in_two_splits_is_a_row_per_later_split():
    embedding, mask, names, clips = corpus()
    clips.loc[[85, 86], "subject"] = "train-3"
    clips.loc[110, "subject"] = "train-3"
    clips.loc[0, "split"] = "other"  # not a split of the study
    rows = flagged(find_leaks(embedding, mask, names, clips))
    assert rows["verdict"].to_list() == [SHARED_SUBJECT] * 2
    assert rows["clip_id"].to_list() == ["c085", "c110"]
    assert rows["nearest_clip_id"].to_list() == ["c030"] * 2
    assert rows["distance"].isna().all()


def test_constant_embeddings_are_copies_and_raise_no_other_alarm():
    embedding, mask, names, clips = corpus()
    embedding[:] = 1
    mask[:] = True
    found = find_leaks(embedding, mask, names, clips)
    assert (found.threshold, found.same_subject, found.other_subject) == (0, 0, 0)
    assert set(found.rows["verdict"]) == {EXACT_DUPLICATE}
    assert "does not tell people apart" in page(leaks_html(found, "b")).text


def test_one_clip_per_subject_has_the_other_yardstick():
    embedding, mask, names, clips = corpus(
        subjects={"train": 40, "test": 20}, each=1, person=0.0, within=1.0
    )
    found = find_leaks(embedding, mask, names, clips)
    assert flagged(found).empty
    assert np.isnan(found.same_subject)
    assert found.threshold == MARGIN * found.other_subject
    embedding, mask = copied(embedding, mask, 7, 50, noise=0.2)
    assert flagged(find_leaks(embedding, mask, names, clips))["clip_id"].to_list() == ["c050"]


@pytest.mark.parametrize(
    "subjects", [{"train": 2}, {"test": 2}, {"validation": 1}, {"train": 1, "test": 1}]
)
def test_tiny_corpora_have_a_page_and_no_alarm(tmp_path, subjects):
    found = find_leaks(*corpus(subjects=subjects, each=2))
    assert flagged(found).empty
    write_results(tmp_path / "leaks.csv", found.rows)
    assert (tmp_path / "leaks.csv").read_text().startswith(",".join(COLUMNS) + "\n")
    assert "None found" in page(leaks_html(found, "b")).text


@pytest.mark.filterwarnings("error")
def test_clips_without_a_direction_are_left_out_and_counted():
    embedding, mask, names, clips = corpus()
    mask[85] = False  # no face
    embedding[86] = 0
    embedding[87, 0] = np.inf
    clips = pd.concat(
        [clips, pd.DataFrame({"clip_id": ["no_video"], "subject": ["x"], "split": ["test"]})]
    )
    found = find_leaks(embedding, mask, names, clips)
    assert flagged(found).empty
    assert (found.compared, found.expected) == (67, 71)
    nobody = find_leaks(embedding, np.zeros_like(mask), names, clips)
    assert (nobody.compared, len(nobody.rows)) == (0, 0)
    assert np.isnan(nobody.threshold)


@pytest.mark.parametrize("block", [1, 7, 70, 1000])
def test_blocks_give_what_the_whole_gives(monkeypatch, block):
    embedding, mask, names, clips = corpus(seed=3)
    embedding, mask = copied(embedding, mask, 3, 90, noise=0.2)
    whole = find_leaks(embedding, mask, names, clips)
    monkeypatch.setattr(module, "READ_BYTES", block * embedding[0].nbytes)
    found = find_leaks(embedding, mask, names, clips, block)
    pd.testing.assert_frame_equal(found.rows, whole.rows)
    assert (found.threshold, found.same_subject) == (whole.threshold, whole.same_subject)


def test_vectors_and_neighbours_are_the_direct_ones():
    embedding, mask, _, clips = corpus(seed=4)
    vectors = clip_vectors(embedding, mask)
    means = np.stack(
        [e[m].astype(float).mean(axis=0) for e, m in zip(embedding, mask, strict=True)]
    )
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors.vector, expected, atol=1e-6)
    assert vectors.vector.dtype == np.float32
    queries, pool = np.arange(80, 150), np.arange(80)
    apart = cdist(means[queries], means[pool], "cosine")
    place, distance = nearest(vectors.vector, queries, pool, block=16)
    np.testing.assert_array_equal(place, apart.argmin(axis=1))
    np.testing.assert_allclose(distance, apart.min(axis=1), atol=1e-6)
    subject = clips["subject"].to_numpy()

    def same(query, other):
        return (subject[query] == subject[other]) & (query != other)

    apart = cdist(means, means, "cosine")
    apart[~same(np.arange(150)[:, None], np.arange(150))] = np.inf
    place, distance = nearest(vectors.vector, np.arange(150), np.arange(150), same, block=16)
    np.testing.assert_array_equal(place, apart.argmin(axis=1))
    np.testing.assert_allclose(distance, apart.min(axis=1), atol=1e-6)


def test_whom_nobody_is_near_to():
    vector = np.eye(3, dtype=np.float32)
    place, distance = nearest(vector, np.arange(3), np.arange(0))
    assert place.tolist() == [-1] * 3
    assert np.isnan(distance).all()


def test_joined_shards_in_another_order_than_the_table(tmp_path):
    # Each clip of `write_embeddings` is a multiple of one vector: all directions are the same.
    shards = [tmp_path / "shard-000.h5", tmp_path / "shard-001.h5"]
    write_embeddings(shards[0], {"d": 1, "a": 2}, 3)
    write_embeddings(shards[1], {"c": 3, "b": 1}, 4)
    join(shards, tmp_path / "joined.h5")
    clips = pd.DataFrame(
        {"clip_id": list("abcd"), "subject": list("wxyz"), "split": ["train"] * 2 + ["test"] * 2}
    )
    with open_joined(tmp_path / "joined.h5") as (embedding, mask, clip_id):
        assert isinstance(embedding, JoinedRows)
        found = find_leaks(embedding, mask, clip_id, clips)
    # b has three frames with a face, d two.
    assert found.rows["verdict"].to_list() == [NOT_FLAGGED] * 2
    assert found.rows["clip_id"].to_list() == ["c", "d"]
    np.testing.assert_allclose(found.rows["distance"], 0, atol=1e-6)


def test_leaks_are_warned_of(caplog):
    embedding, mask, names, clips = corpus()
    embedding, mask = copied(embedding, mask, 3, 85)
    with caplog.at_level(logging.WARNING):
        find_leaks(embedding, mask, names, clips)
    assert [record.getMessage() for record in caplog.records] == [
        "exact_duplicate: 1 clips or subjects of a later split"
    ]


def test_equal_inputs_are_equal_bytes(tmp_path):
    for file in ("one.csv", "other.csv"):
        write_results(tmp_path / file, find_leaks(*corpus()).rows)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_the_page_counts_and_shows():
    embedding, mask, names, clips = corpus()
    embedding, mask = copied(embedding, mask, 3, 85)
    text = page(leaks_html(find_leaks(embedding, mask, names, clips), "resnet18")).text
    assert "resnet18" in text
    assert "1 flagged" in text
    assert "exact_duplicate1" in text  # its count, in the next cell
    assert f"not_flagged{SHOWN}" in text
    assert "70 validation and test clips (of 70" in text


def test_hostile_names_are_escaped_and_long_tables_cut():
    embedding, mask, names, clips = corpus()
    names = [HOSTILE + name for name in names]
    clips = clips.assign(clip_id=names, subject=HOSTILE + clips["subject"])
    found = find_leaks(embedding, mask, names, clips)
    assert page(leaks_html(found, HOSTILE)).text.count(HOSTILE) == 1 + 4 * SHOWN
    rows = pd.concat([found.rows] * (MOST_ROWS // SHOWN + 1), ignore_index=True)
    long = replace(found, rows=rows)
    assert f"And {SHOWN} more, in the CSV." in page(leaks_html(long, "b")).text
