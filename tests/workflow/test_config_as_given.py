"""What Snakemake hands over of a config, as people write it in files and on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from study import CHECKOUT


def plan(folder: Path, text: str, *config: str) -> str:
    """What a dry run says."""
    (folder / "mine.yaml").write_text(text)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(CHECKOUT / "Snakefile")]
    command += ["--dry-run", "--directory", str(folder), "--configfile", str(folder / "mine.yaml")]
    command += ["--config", *config] if config else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    return done.stderr + done.stdout


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ("shards: 2\nshards: 3\n", (), "mine.yaml: key 'shards' stands on line 1 and on line 2"),
        ("experiments:\n  a: {backbone: b}\n  a: {backbone: c}\n", (), "key 'a' stands on line 2"),
        ("frames:\n  perclip: 3\n", (), "unknown key 'frames.perclip' (mine.yaml, line 2)"),
        ("frames: {fps: 3}\n", ("frames={per_clip: ten}",), "per_clip is 'ten' (--config)"),
        # As far as the data set, which is not there: all before it is right.
        (
            "teacher: null\n",
            ("frames={per_clip: 10}", "teacher=null", "dataset={root: nowhere}"),
            "there is no folder",
        ),
    ],
)
def test_a_config_is_read_as_meant_or_refused(
    tmp_path: Path, text: str, config: tuple[str, ...], message: str
) -> None:
    assert message in plan(
        tmp_path, text, *config, *(["dataset={root: nowhere}"] if config else [])
    )
