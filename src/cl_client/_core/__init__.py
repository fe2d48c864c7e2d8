"""Without any protocol: threads, cancellation, owned tasks, single flight, deadlines, validation, log."""
