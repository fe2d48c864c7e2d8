"""The nine tasks on any number of files."""
