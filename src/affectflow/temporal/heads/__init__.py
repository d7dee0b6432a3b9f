"""Sequence heads: one file each.

A file says its `SETTINGS` (name to JSON schema with a default) as a literal, so that a config can
be checked without importing torch, and has `build(dim, settings)`, which returns a module

    forward(embedding (B, S, D) float32, mask (B, S) bool) -> (B, width) float32

with an attribute `width`. It gives no weight to the frames where `mask` is False. What stands on
top of it, a layer per task, is the loss's.
"""
