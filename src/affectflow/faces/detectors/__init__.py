"""One file per face detector; the file's name is the config's `detector`."""
