"""Every task on a local server, to look at."""
