"""Whether something can be written where an option says, found out before the work that makes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def check_folder(option: str, folder: Path) -> None:
    """See that files can be written into a folder, which is made when it is needed.

    Raises:
        UsageError: It is a file, is below one, or may not be written.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{option} {folder}: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {folder}: you may not write in {there}; name another folder")


def check_file(option: str, file: Path) -> None:
    """See that a file can be written.

    Raises:
        UsageError: It is a folder, or its folder cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"{option} {file}: this is a folder; name a file in it")
    check_folder(option, file.parent)
