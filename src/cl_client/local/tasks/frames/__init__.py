"""Video frames: their colours and tone mapping, deinterlacing, conversion, and a representative one."""
