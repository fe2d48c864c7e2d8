"""The auth service of a local server, and the token checks of its compute routes."""
