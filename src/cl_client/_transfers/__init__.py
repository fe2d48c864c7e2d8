"""File transfers: streamed multipart uploads, and downloads that leave a complete file or none."""
