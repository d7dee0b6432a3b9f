"""A study on a SLURM cluster: what SLURM knows, checks before a run, and what a run looks like."""
