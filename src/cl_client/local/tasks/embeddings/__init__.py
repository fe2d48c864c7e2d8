"""Embeddings of whole images, and the ONNX Runtime."""
