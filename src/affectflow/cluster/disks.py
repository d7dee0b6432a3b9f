"""Which disk a folder lies on, and whether other machines can see it (Linux)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
EXPORTS = Path("/etc/exports")
# These live on one machine. Any other (nfs, lustre, gpfs, beegfs, ...) is taken for shared.
LOCAL = {"btrfs", "devtmpfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "reiserfs"}
LOCAL |= {"rootfs", "tmpfs", "vfat", "xfs", "zfs"}


@dataclass(frozen=True)
class Disk:
    """The file system of a folder.

    Attributes
    ----------
    kind : str
        As the kernel names it: ``ext4``, ``nfs4``, ``lustre``, ...
    mount : str
        Where it is mounted.
    local : bool
        Whether its kind lives on one machine.
    exported : bool
        Whether this machine exports it, or the folder, to others by NFS.
    """

    kind: str
    mount: str
    local: bool
    exported: bool


def disk_of(folder: Path, mounts: Path = MOUNTS, exports: Path = EXPORTS) -> Disk:
    """Return the disk of a folder, existing or not.

    Parameters
    ----------
    folder : Path
    mounts, exports : Path
        The kernel's table of mounts and the NFS server's of exports.
    """
    folder = folder.expanduser().resolve()
    kind, mount = "unknown", Path("/")
    for line in mounts.read_text(encoding="utf-8").splitlines() if mounts.is_file() else []:
        _, where, what = line.split()[:3]
        # Spaces and the like stand there as octal numbers. A later mount covers an earlier one.
        place = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), where))
        if folder.is_relative_to(place) and len(place.parts) >= len(mount.parts):
            kind, mount = what, place
    return Disk(kind, str(mount), kind in LOCAL, _exported(folder, exports))


def _exported(folder: Path, exports: Path) -> bool:
    files = [exports, *sorted(Path(f"{exports}.d").glob("*.exports"))]
    lines = [line for file in files if file.is_file() for line in file.read_text().splitlines()]
    given = [line.split()[0].strip('"') for line in lines if line.strip().startswith(("/", '"/'))]
    return any(folder.is_relative_to(path) for path in given)
