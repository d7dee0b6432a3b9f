"""DAiSEE at its real size, with empty files for videos: enough to plan a run."""

from __future__ import annotations

from pathlib import Path

SIZES = {"Train": 5482, "Validation": 1720, "Test": 1866}
SUBJECTS = {"Train": 70, "Validation": 21, "Test": 21}
HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration \n"


def write_empty_daisee(root: Path) -> None:
    """Write 9,068 clips of 112 subjects, all labelled, below `root`."""
    (root / "Labels").mkdir(parents=True)
    for i, (split, size) in enumerate(SIZES.items(), start=1):
        rows = []
        for n in range(size):
            subject = f"{i}{n % SUBJECTS[split]:05d}"
            clip = f"{subject}{n:04d}"
            folder = root / "DataSet" / split / subject / clip
            folder.mkdir(parents=True)
            (folder / f"{clip}.avi").touch()
            rows.append(f"{clip}.avi,0,2,0,0\n")
        (root / "Labels" / f"{split}Labels.csv").write_text(HEADER + "".join(rows))
