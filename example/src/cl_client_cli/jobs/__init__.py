"""The jobs that were submitted from this machine."""
