"""Batches: many jobs that can be resumed."""
