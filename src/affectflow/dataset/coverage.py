"""Whether a study's labels and videos belong together, looked at before any job starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from affectflow.dataset.matching import any_case
from affectflow.dataset.records import SPLITS
from affectflow.dataset.tasks import Task, Value
from affectflow.errors import UserError

if TYPE_CHECKING:
    from affectflow.dataset.index import Index

SHARE_OF_LABELS, SHARE_OF_VIDEOS = 0.1, 0.5
"""Labels without a video, and videos without a label, that are worth a line: DAiSEE lacks the
labels of 17 % of its validation clips, and one video."""
EXAMPLES = 3


def check_matches(index: Index) -> None:
    """Raise UserError for a split with labels of which none names one of its videos."""
    for split in SPLITS:
        videos = sorted(c.clip_id for c in index.clips if c.split == split and c.path)
        labels = sorted(x.clip_id for x in index.labels if x.split == split and _says(x.levels))
        if not labels or not {*labels}.isdisjoint(videos):
            continue
        names = f"{len(labels):,} label(s) ({_examples(labels)})"
        if videos:
            raise UserError(
                f"dataset: none of the {split} split's {names} names one of its {len(videos):,} "
                f"video(s) ({_examples(videos)})",
                _difference(labels, videos, index),
            )
        elsewhere = _elsewhere(labels, index)
        raise UserError(
            f"dataset: the {split} split has {names} and no video under {index.root}",
            elsewhere
            or "Check dataset.root, and that the split's videos were copied. To do without them, "
            "list the videos that there are in a manifest (dataset.layout).",
        )


def without_videos(index: Index) -> list[str]:
    """Return a line for each split that has labels and no video."""
    lines = []
    for split in SPLITS:
        clips = [clip for clip in index.clips if clip.split == split]
        if clips and not any(clip.path for clip in clips):
            lines.append(f"{split}: has {len(clips):,} label(s) and no video under {index.root}")
    return lines


def check_trained(index: Index, splits: Collection[str]) -> None:
    """Raise UserError where no clip of these splits, of which a model learns, has a label."""
    clips = [clip for clip in index.clips if clip.split in splits and clip.path]
    if not any(_says(clip.levels) for clip in clips):
        where = f"the {' and '.join(splits)} split" if len(splits) < len(SPLITS) else "the data set"
        raise UserError(
            f"dataset: no clip of {where} has both a video and a label: nothing can be learnt "
            f"({len(clips):,} video(s))",
            "Check the labels; or set experiments: {} to stop at embeddings.",
        )


def warnings(index: Index, folded: bool = False) -> list[str]:
    """Return what a user should know of a study's labels before it is run, a line each.

    Parameters
    ----------
    index : Index
    folded : bool
        Whether every experiment is tested in folds: then the splits don't matter.
    """
    lines = []
    for split in SPLITS:
        clips = [clip for clip in index.clips if clip.split == split]
        labels = [clip for clip in clips if _says(clip.levels)]
        videos = [clip for clip in clips if clip.path]
        lost = [clip.clip_id for clip in labels if not clip.path]
        bare = [clip.clip_id for clip in videos if not _says(clip.levels)]
        if len(lost) > SHARE_OF_LABELS * len(labels):
            lines.append(
                f"{split}: {len(lost):,} of {len(labels):,} labels have no video "
                f"({_examples(lost)})"
            )
        if labels and len(bare) > SHARE_OF_VIDEOS * len(videos):
            lines.append(
                f"{split}: {len(bare):,} of {len(videos):,} videos have no label "
                f"({_examples(bare)})"
            )
        if not folded and split != "train" and not any(clip.path for clip in labels):
            lines.append(f"{split}: no clip with a video has a label: {WITHOUT[split]}")
    for status, what in (("id_read_as", "ids"), ("path_read_as", "paths")):
        rows = [row for row in index.audit if row.status == status]
        if rows:
            lines.append(f"{len(rows):,} {what} are not read as written ({rows[0].detail})")
    return lines + [line for task in index.tasks for line in _of_task(index, task, folded)]


WITHOUT = {
    "validation": "the last epoch of each training is kept",
    "test": "predictions are made, and nothing is scored",
}


def _of_task(index: Index, task: Task, folded: bool) -> list[str]:
    trained = [clip for clip in index.clips if clip.path and (folded or clip.split == "train")]
    codes = {code for clip in trained if (code := clip.levels[task.name]) is not None}
    where = "clip" if folded else "training clip"
    if not codes:
        return [f"{task.name}: no {where} has a label: what is predicted of it means nothing"]
    if len(codes) == 1:
        code = codes.pop()
        name = f"{code:g}" if task.kind == "real" else task.levels[int(code)]
        what = "value" if task.kind == "real" else "level"
        return [f"{task.name}: every {where} has one {what} ({name}): nothing to tell apart"]
    return []


def _says(levels: Mapping[str, Value | None]) -> bool:
    return any(code is not None for code in levels.values())


def _examples(clip_ids: Sequence[str]) -> str:
    more = ", ..." if len(clip_ids) > EXAMPLES else ""
    return ", ".join(clip_ids[:EXAMPLES]) + more


def _difference(labels: Sequence[str], videos: Sequence[str], index: Index) -> str:
    """Return what seems to differ between the ids of labels and those of videos."""
    if elsewhere := _elsewhere(labels, index):
        return elsewhere
    as_named = "Write the ids as the videos' file names have them, with or without extension."
    lengths = [{len(clip_id) for clip_id in own} for own in (labels, videos)]
    if all(len(own) == 1 for own in lengths) and lengths[0] != lengths[1]:
        label, video = (own.pop() for own in lengths)
        return f"The labels' ids have {label} characters, the videos' {video}. {as_named}"
    return as_named


def _elsewhere(labels: Sequence[str], index: Index) -> str:
    wanted = {any_case(clip_id) for clip_id in labels}
    for split in SPLITS:
        if any(any_case(c.clip_id) in wanted for c in index.clips if c.split == split and c.path):
            return f"They name videos of the {split} split: put videos or labels where they belong."
    return ""
