"""Sequence heads: one file each.

A file says its `SETTINGS` (name to JSON schema with a default) as a literal, so that a config can
be checked without importing torch, and has `build(dim, tasks, settings)`, which returns a module

    forward(embedding (B, S, D) float32, mask (B, S) bool) -> list of logits (B, K_task) float32

that gives no weight to the frames where `mask` is False.
"""
