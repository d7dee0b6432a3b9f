"""Which folders other machines can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectflow.cluster.disks import disk_of

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
files:/home /home nfs4 rw 0 0
files:/data /srv/my\\040data lustre rw 0 0
/dev/sdb1 /export xfs rw 0 0
scratch /home/ann/scratch beegfs rw 0 0
"""


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    mounts, exports = tmp_path / "mounts", tmp_path / "exports"
    mounts.write_text(MOUNTS)
    exports.write_text("# comment\n/export/users  10.0.0.0/8(rw)\n")
    return {"mounts": mounts, "exports": exports}


@pytest.mark.parametrize(
    ("folder", "kind", "local", "exported"),
    [
        ("/opt/study", "ext4", True, False),
        ("/tmp/study", "tmpfs", True, False),
        ("/home/ann/study", "nfs4", False, False),
        ("/home/ann/scratch/study", "beegfs", False, False),
        ("/srv/my data/DAiSEE", "lustre", False, False),
        ("/export/users/ann", "xfs", True, True),
        ("/export/other", "xfs", True, False),
        ("/homestead", "ext4", True, False),
    ],
)
def test_disk_of_a_folder(
    tables: dict[str, Path], folder: str, kind: str, local: bool, exported: bool
) -> None:
    disk = disk_of(Path(folder), **tables)
    assert (disk.kind, disk.local, disk.exported) == (kind, local, exported)


def test_this_machine() -> None:
    assert disk_of(Path("/proc/self")).kind == "proc"
