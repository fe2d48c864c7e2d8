"""Photos ranked by how much they look like one."""
