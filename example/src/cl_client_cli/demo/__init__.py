"""A demo of every task on a local server."""
