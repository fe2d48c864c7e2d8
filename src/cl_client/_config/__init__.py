"""What settings are made of: files of them, defaults of the class, secrets and the servers they belong to."""
