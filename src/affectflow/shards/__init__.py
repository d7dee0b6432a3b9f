"""HDF5 in and out: one file per shard of clips, whole or refused."""
