"""Say of every clip and label that is not used as it should be why, and count faces per clip."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run
from affectflow.faces.audit import write_audit
from affectflow.figures.table import audit_html
from affectflow.provenance.atomic import write_text


def main(arguments: Namespace) -> None:
    rows = write_audit(
        index_audit=arguments.index,
        clips=arguments.clips,
        faces=arguments.faces,
        audit=arguments.audit,
        coverage=arguments.coverage,
    )
    write_text(arguments.table, audit_html(pandas.DataFrame(rows)))


parser = ArgumentParser(description=__doc__)
parser.add_argument("--index", type=Path, required=True, help="index_audit.csv")
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--faces", type=Path, nargs="+", required=True, help="shards of faces")
parser.add_argument("--audit", type=Path, required=True, help="audit.csv to write")
parser.add_argument("--coverage", type=Path, required=True, help="coverage.csv to write")
parser.add_argument("--table", type=Path, required=True, help="audit.html to write")
run(parser, main)
