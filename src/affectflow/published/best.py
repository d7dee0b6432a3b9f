"""Which experiment is best for a state: the choice behind Table 4.13, made from a run."""

from __future__ import annotations

from affectflow.published.scores import Scores

# The dissertation chose "by F1 score" of four levels; macro-F1 is the mean of the four.
CRITERIA = {"accuracy": "accuracy", "macro-F1": "macro_f1"}


def best_experiments(scores: Scores, state: str, metric: str) -> list[str]:
    """Return the experiments with the highest score on the test split, all of equals.

    Choosing by test score, as the dissertation did, makes the chosen one look better than it will
    be on new clips: this is for comparison with its Table 4.13, not a way to choose a model.

    Parameters
    ----------
    scores : Scores
    state : str
    metric : str
        Of results.csv, such as ``"macro_f1"``.

    Returns
    -------
    list of str
        In the dissertation's order; empty where nothing was scored.
    """
    values = {name: scores.value(name, state, metric) for name in scores.experiments}
    scored = {name: value for name, value in values.items() if value == value}  # NaN is not itself
    highest = max(scored.values(), default=None)
    return [name for name, value in scored.items() if value == highest]
