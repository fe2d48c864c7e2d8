"""Faces: found, cut out, and told apart."""
