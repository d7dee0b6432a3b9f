"""One file per layout of videos and labels on disk; the file's name is the config's `layout`."""
