"""One loop that fits a sequence model, resumes where it was killed, and predicts."""
