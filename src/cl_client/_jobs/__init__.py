"""Following jobs: tracker, reads, subscriptions, waiting, submission, workers."""
