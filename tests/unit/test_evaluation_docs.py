import csv
import re
from pathlib import Path

from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.evaluation.floors import MAJORITY, RANDOM
from affectflow.evaluation.metrics import metric_names

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def test_every_metric_is_defined():
    for name in metric_names(DAISEE_TASKS[0]):
        assert f"`{re.sub('level_[0-9]+', 'level_k', name)}`" in PAGE, name
    assert f"`floor_…` of {', '.join(MAJORITY)} |" in PAGE
    assert f"`random_…` of {', '.join(RANDOM)} |" in PAGE


def test_published_results_are_those_collected(shared):
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    with (shared / "reference" / "daisee_literature.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name = row["metric"].replace("macro_f1", "macro-F1").replace("quadratic_", "")
            # The table of floors has accuracies and macro-F1 in one row.
            found = [line for line in rows if re.search(rf"\b{re.escape(row['value'])}\b", line)]
            assert found, row
            if row["comparable"] == "honest protocol":
                assert f"| {row['state']} | {name.replace('_', ' ')} |" in found[0]
