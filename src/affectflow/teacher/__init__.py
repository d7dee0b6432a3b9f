"""Training extractor 1 (`fecnet`) on triplets of faces and on expressions."""
