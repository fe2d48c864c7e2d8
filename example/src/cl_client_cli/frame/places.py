"""Checks whether the place named by an option is writable, before any work is done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def check_folder(option: str, folder: Path) -> None:
    """Check that files can be written into a folder; it need not exist yet.

    Args:
        option: The option that names the folder, for messages.
        folder: The folder.

    Raises:
        UsageError: The path is a file, is below a file, or is not writable.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{option} {folder}: {there} is a file, not a folder; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {folder}: no permission to write in {there}; name another folder")


def check_file(option: str, file: Path) -> None:
    """Check that a file can be written.

    Args:
        option: The option that names the file, for messages.
        file: The file.

    Raises:
        UsageError: The path is a folder, or its folder is not writable.
    """
    if file.is_dir():
        raise UsageError(f"{option} {file}: this is a folder, not a file; name a file in it")
    check_folder(option, file.parent)
