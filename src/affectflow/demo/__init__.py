"""A corpus of nobody: DAiSEE's layout and quirks, with levels planted in a public-domain face."""

from affectflow.demo.corpus import generate

__all__ = ["generate"]
