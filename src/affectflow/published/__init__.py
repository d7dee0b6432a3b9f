"""The numbers that the dissertation printed, as data, and ours beside them."""
