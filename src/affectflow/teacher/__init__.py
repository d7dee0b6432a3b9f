"""Training the dissertation's extractor 1 on Google FEC's triplets and AffectNet at once."""
