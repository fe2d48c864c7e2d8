"""HTTP: the compute service's routes, its uploads and forms, and uvicorn."""
