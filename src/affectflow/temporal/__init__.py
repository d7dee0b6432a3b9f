"""From a clip's sequence of embeddings to the levels of its tasks: heads, losses."""
