"""Show what a run is doing: its jobs by stage, which run or wait, and which failed.

jobs is the sum of done, runs, queued (in SLURM), failed, and left. frames/s is
the median of the jobs done; faces is the lowest share of a shard's frames that
show a face; MiB is the highest memory of a job. to go is a guess, from the time
of the jobs done and from how many run now. A failed job may be tried again.
"""

import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from affectflow.cluster import controller, slurm
from affectflow.cluster.watch import over
from affectflow.cluster.watch_text import describe
from affectflow.commandline import ERROR
from affectflow.errors import UserError

CLEAR = "\x1b[H\x1b[2J"


def main(arguments: Namespace) -> None:
    folder = arguments.directory.resolve()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder", "Name the study's: --directory DIR")
    text, ended = look(folder)
    while arguments.every and not ended:
        stamp = time.strftime("%H:%M:%S")
        clear = CLEAR if sys.stdout.isatty() else ""
        print(
            f"{clear}{text}\n\n{stamp}, every {arguments.every:g} s; Ctrl-C ends this, not the run"
        )
        sys.stdout.flush()
        time.sleep(arguments.every)
        text, ended = look(folder)
    print(text)


def look(folder: Path) -> tuple[str, bool]:
    """Return what there is to see, and whether that is all there will be."""
    run = controller.latest(folder)
    if run is None:
        return f"{folder}: no run to watch; none was started here.", False
    queue, doubt = None, ""
    if run.executor == "slurm":
        try:
            queue = slurm.jobs(folder)
        except UserError as error:
            doubt = str(error)
    return describe(folder, run, queue, doubt), over(folder, run) and not queue


parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
parser.add_argument(
    "--directory", type=Path, default=Path(), help="the study's folder; default: the current one"
)
parser.add_argument(
    "--every", type=float, default=0, metavar="SECONDS", help="look again, until the run has ended"
)
try:
    main(parser.parse_args())
except UserError as error:
    sys.exit(f"{ERROR}{error}")
except KeyboardInterrupt:
    sys.exit(130)
