"""Parts of the settings: types, files, defaults, errors, and secrets with the servers that they belong to."""
