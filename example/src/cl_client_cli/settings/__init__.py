"""The settings of a command, and the commands that show and create them."""
