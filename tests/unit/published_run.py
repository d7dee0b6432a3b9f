"""Results of a run that never was, for the tests of published numbers."""

import pandas as pd

from affectflow.evaluation.tables import COLUMNS
from affectflow.published.names import STATES


def scores(accuracy, f1=(0.5, 0.25, 0.125, 0.0), interval=True, collapsed=0):
    """Value, low and high by metric."""
    floor = 0.4
    values = {"accuracy": accuracy, "macro_f1": sum(f1) / 4, "floor_accuracy": floor}
    values |= {f"f1_level_{level}": value for level, value in enumerate(f1)}
    found = {
        name: (value, value - 0.05, value + 0.05) if interval else (value, None, None)
        for name, value in values.items()
    }
    return found | {"collapsed": (collapsed, None, None)}


def results(experiments, states=STATES):
    """results.csv of experiments, the same scores in every state; half as good in training."""
    rows = [
        (experiment, split, state, metric, *numbers, "", None, 10, 10)
        for experiment, own in experiments.items()
        for split in ("train", "test")
        for state in states
        for metric, numbers in own.items()
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    numbers = ["value", "ci_low", "ci_high"]
    table[numbers] = table[numbers].astype(float)
    table.loc[table["split"] == "train", numbers] /= 2
    return table
