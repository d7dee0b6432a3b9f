"""Clips, subjects and labels of a study: layouts, audit, shards."""
