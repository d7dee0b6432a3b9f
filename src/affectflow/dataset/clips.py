"""The clip table, as later stages read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affectflow.dataset.tasks import Task

if TYPE_CHECKING:
    import pandas


def read_clips(path: Path, tasks: list[Task]) -> pandas.DataFrame:
    """Read clips.csv.

    Returns
    -------
    pandas.DataFrame
        One row per clip; `clip_id`, `subject`, `split`, `path`, `status` as str, `shard` as
        int64, a column of level codes per task as Int64, of a real-valued one's numbers as Float64
        (missing where there is no label).
    """
    import pandas

    kinds = dict.fromkeys(("clip_id", "subject", "split", "path", "status"), "str")
    kinds |= {"shard": "int64"} | {
        task.name: "Float64" if task.kind == "real" else "Int64" for task in tasks
    }
    # Only an empty field is missing: a subject may be called "NA".
    table = pandas.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    return table.assign(path=table["path"].fillna(""))
