"""Faces: detection, crops, and embeddings."""
