"""Losses: one file each, for one task.

A file says as literals its `SETTINGS` (name to JSON schema with a default), whether it needs the
levels to be `ORDERED`, and the `DECISION` that its paper takes from probabilities to a level (see
`affectflow.temporal.decide`), and has

    layer(inputs, levels) -> module from features (n, inputs) to scores (n, ...)
    terms(scores, level (n,) int64, **settings) -> value (n,), count (n,)
    probabilities(scores) -> (n, levels), non-negative, rows that sum to 1

The loss of a batch is the sum of the values over the sum of the counts: for most losses a clip
counts once.
"""
