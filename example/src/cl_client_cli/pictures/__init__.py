"""Pictures as people see them, and what is drawn on them."""
