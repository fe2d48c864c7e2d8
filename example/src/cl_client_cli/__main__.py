"""Runs the command line as ``python -m cl_client_cli``."""

from __future__ import annotations

from cl_client_cli.console_script import run

run()
