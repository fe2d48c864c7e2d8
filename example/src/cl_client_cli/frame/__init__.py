"""What every command is run in."""
