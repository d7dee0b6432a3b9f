"""Files and folders that systems and programs leave among people's own: never clips or images."""

from __future__ import annotations

import re

NAMES = frozenset(
    {
        # macOS
        "icon\r", "__macosx", ".ds_store", ".appledouble", ".trashes", ".spotlight-v100",
        ".fseventsd", ".temporaryitems", ".documentrevisions-v100",
        # Windows
        "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
        "$recycle.bin", "recycler", "system volume information",
        # Disks of Linux, network storage, snapshots
        "lost+found", "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot",
        ".snapshot", ".snapshots", ".zfs", ".git", ".svn", ".ipynb_checkpoints",
    }
)  # fmt: skip
PATTERNS = re.compile(
    r"""
    \._.*                       # what macOS can't keep in the file NAME itself is in ._NAME
    | ~\$.* | \.~lock\..*\#     # open in Office, in LibreOffice
    | \.nfs[0-9a-f]+ | \.fuse_hidden.* | \.smbdelete.*
    | \.trash(-\d+)?
    | .*~                       # what an editor keeps of the version before
    | .*\.(part|partial|filepart|crdownload|download|opdownload|tmp|temp|aria2|icloud|swp|lnk)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def is_dropping(name: str) -> bool:
    """Return whether a file or folder of this name was left by a system or program."""
    return name.lower() in NAMES or bool(PATTERNS.fullmatch(name))


def is_hidden(name: str) -> bool:
    """Return whether a name is one that no listing shows, which is none that people give."""
    return name.startswith(".")
