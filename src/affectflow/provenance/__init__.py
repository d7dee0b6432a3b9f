"""Where files come from: atomic writes, digests of code and content, library versions."""
