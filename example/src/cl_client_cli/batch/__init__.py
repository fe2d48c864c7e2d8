"""Many jobs at once, that survive anything."""
