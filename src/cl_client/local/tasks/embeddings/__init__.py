"""Embeddings of whole pictures, and the ONNX Runtime."""
