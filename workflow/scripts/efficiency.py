"""Show what a run's jobs asked SLURM for and used, and what to ask for next time.

Reads the reports that runs with --profile slurm leave in logs/efficiency/ when
they end. The advice: the highest memory seen and a quarter, in steps of 500 MB;
one and a half times the longest job, 10 minutes at least; the cores that were
busy and a quarter, never more than there were. It holds for shards of the same
size on the same kind of node. All reports count together; after a change of the
config, the shards or the GPUs, --newest 1 leaves the older ones out.
"""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from affectflow.cluster.efficiency import advise, describe, profile_lines, read_report, reports
from affectflow.commandline import ERROR
from affectflow.errors import UserError

HOW = """\
In profiles/slurm/config.yaml put these beside the lines that a rule has there
already, such as slurm_partition: a rule named twice loses its first lines.
They replace the rule's own values, and so have to grow with the attempts too."""
SHORT = """\
Of jobs this short SLURM may not have seen the peak: it looks every 30 s or so.
Compare the ends of their logs, and add 300 MB for Snakemake itself."""
SECONDS = 60


def main(arguments: Namespace) -> None:
    paths = reports(arguments.directory.resolve(), arguments.newest)
    advice = advise(job for path in paths for job in read_report(path))
    if not advice:
        raise UserError(f"{paths[0].parent}: the reports there name no jobs of this workflow")
    print(f"{paths[0].parent}, reports: {len(paths)}\n\n{describe(advice)}\n\n{HOW}\n")
    print(profile_lines(advice))
    if any(one.longest_s < SECONDS for one in advice):
        print(f"\n{SHORT}")


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
parser.add_argument(
    "--directory", type=Path, default=Path(), help="the study's folder; default: the current one"
)
parser.add_argument("--newest", type=count, metavar="N", help="only the newest N reports")
try:
    main(parser.parse_args())
except UserError as error:
    sys.exit(f"{ERROR}{error}")
