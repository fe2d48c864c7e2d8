"""Helpers that know no protocol: threads, cancellation, tasks, single flight, deadlines, validation, log."""
