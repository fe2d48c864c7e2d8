"""Workers: each runs one job after the other in a process of its own."""
