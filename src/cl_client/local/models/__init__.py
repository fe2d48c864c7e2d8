"""ONNX models: the table of models, their download, and their files on this machine."""
