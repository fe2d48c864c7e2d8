"""Media files: their kinds, and pictures and videos opened."""
