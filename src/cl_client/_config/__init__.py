"""Parts of the settings: files, defaults, and secrets with the servers that they belong to."""
