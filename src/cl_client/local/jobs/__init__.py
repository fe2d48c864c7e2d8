"""Jobs: their table, their folders, and what can be done with them."""
