"""One file per backbone; the file's name is the backbone's name in the config."""
