"""The auth service of a local server, and what its compute routes demand when it is there."""
