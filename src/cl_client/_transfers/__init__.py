"""Files on their way: streamed multipart uploads, and downloads that are whole or not there at all."""
