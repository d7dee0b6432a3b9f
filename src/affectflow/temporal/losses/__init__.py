"""Losses: one file each.

A file has `loss(logits, levels)` and the `probabilities(logits)` that go with it.
"""
