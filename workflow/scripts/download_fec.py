"""Download the photos that Google's FEC triplets link to; run it again to go on."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.teacher.download import Manners, download_fec


def main(arguments: Namespace) -> None:
    manners = Manners(
        workers=arguments.workers,
        per_host=arguments.per_host,
        delay=arguments.delay,
        trial=arguments.trial,
        refusals=arguments.refusals,
    )
    download_fec(arguments.fec, arguments.report, manners, retry_dead=arguments.retry_dead_links)


parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--fec", type=settings, required=True, help="teacher.fec in the config: train, test, images"
)
parser.add_argument("--report", type=Path, required=True, help="CSV of dead links to write")
parser.add_argument("--workers", type=int, default=Manners.workers, help="requests at once")
parser.add_argument("--per-host", type=int, default=Manners.per_host, help="of them, to one host")
parser.add_argument(
    "--delay", type=float, default=Manners.delay, help="seconds between requests to one host"
)
parser.add_argument(
    "--trial",
    type=int,
    default=Manners.trial,
    help="stop where none of so many first links has an image; 0: never",
)
parser.add_argument(
    "--refusals",
    type=int,
    default=Manners.refusals,
    help="leave a host that answers so many links in a row with 403 or a page; 0: never",
)
parser.add_argument(
    "--retry-dead-links", action="store_true", help="ask again for what was not there"
)
run(parser, main)
