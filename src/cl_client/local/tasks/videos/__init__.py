"""Opening videos, and their frames: colours and tone mapping, deinterlacing, and a representative one."""
