"""Heads over pooled statistics of a clip's frames: one file each, scikit-learn's estimators.

A file says its `SETTINGS` (name to JSON schema with a default) as a literal, and has
`build(task, settings, seed)`, which returns a pipeline for one task whose last step is called
``model`` and takes sample weights. What its scores are is seen by what it has: `predict_proba`,
`decision_function`, or (a regression on the level scale) neither.
"""
