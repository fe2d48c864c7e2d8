"""ONNX models: what they are, where they come from, where they are found."""
