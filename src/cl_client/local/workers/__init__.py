"""Workers: each runs jobs one at a time in a separate process."""
