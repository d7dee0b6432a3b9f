"""What became of each clip's frames: the audit of the whole study, and faces per clip."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affectflow.dataset import index
from affectflow.dataset.records import SPLITS, AuditRow
from affectflow.dataset.tables import write_table
from affectflow.shards.faces import CONTENT
from affectflow.shards.files import open_complete, texts

log = logging.getLogger(__name__)

# Below this share of frames with a face a clip says little of the person in it.
FEW_FACES = 0.5


@dataclass(frozen=True)
class Coverage:
    """How much of a clip shows a face.

    `status` and `detail` are decoding's (``ok``, ``short``, ``truncated``, ``undecodable``);
    of `frames`, `faces` show one, and `several` more than one. Who comes and goes beside a person
    that is followed is seen in whole looks only: then `several` is an estimate.
    """

    clip_id: str
    status: str
    detail: str
    frames: int
    faces: int
    several: int


def read_coverage(shards: Sequence[Path]) -> dict[str, Coverage]:
    """Read every clip's coverage from shards of faces."""
    found: dict[str, Coverage] = {}
    for shard in shards:
        with open_complete(shard, CONTENT) as file:
            columns = zip(
                *(texts(file[name]) for name in ("clip_id", "status", "detail")),
                (file["frame_index"][:] >= 0).sum(axis=1).tolist(),
                file["mask"][:].sum(axis=1).tolist(),
                (file["face_count"][:] > 1).sum(axis=1).tolist(),
                strict=True,
            )
            found |= {clip_id: Coverage(clip_id, *rest) for clip_id, *rest in columns}
    return found


def write_audit(
    *, index_audit: Path, clips: Path, faces: Sequence[Path], audit: Path, coverage: Path
) -> list[AuditRow]:
    """Write audit.csv (a row per clip or label not used as it should be) and coverage.csv.

    Parameters
    ----------
    index_audit, clips : Path
        What indexing wrote.
    faces : sequence of Path
        Every shard of faces.
    audit, coverage : Path
        The tables to write.

    Returns
    -------
    list of AuditRow
        The rows of audit.csv.
    """
    with open(index_audit, encoding="utf-8", newline="") as file:
        rows = [AuditRow(**row) for row in csv.DictReader(file)]
    with open(clips, encoding="utf-8", newline="") as file:
        videos = [row for row in csv.DictReader(file) if row["path"]]
    found = read_coverage(faces)
    table = []
    for clip in videos:
        seen = found[clip["clip_id"]]
        identity = {name: clip[name] for name in ("clip_id", "subject", "split")}
        rows += [AuditRow(**identity, status=status, detail=why) for status, why in _reasons(seen)]
        table.append(
            identity
            | {"frames": seen.frames, "faces": seen.faces, "several_faces": seen.several}
            | {"coverage": f"{seen.faces / seen.frames:.4f}" if seen.frames else ""}
        )
    order = {split: i for i, split in enumerate(SPLITS)}
    rows.sort(key=lambda row: (order[row.split], row.clip_id, row.status))
    index.write_audit(audit, rows)
    columns = ["clip_id", "subject", "split", "frames", "faces", "several_faces", "coverage"]
    write_table(coverage, columns, table)
    with_face = sum(bool(seen.faces) for seen in found.values())
    log.info("%d of %d videos show a face; %d audit rows", with_face, len(videos), len(rows))
    return rows


def _reasons(seen: Coverage) -> list[tuple[str, str]]:
    reasons = [] if seen.status == "ok" else [(seen.status, seen.detail)]
    share = f"{seen.faces} of {seen.frames} frames show a face"
    if seen.frames and not seen.faces:
        reasons.append(("no_face", share))
    elif seen.faces < FEW_FACES * seen.frames:
        reasons.append(("few_faces", share))
    return reasons
