"""A batch's results as one page."""
