"""Embeddings of whole pictures, and ONNX models run."""
