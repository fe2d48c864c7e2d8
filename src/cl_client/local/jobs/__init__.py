"""Jobs: their table, their folders, and the operations on them."""
