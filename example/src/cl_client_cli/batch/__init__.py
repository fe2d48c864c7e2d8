"""Many jobs at once, which can be resumed."""
