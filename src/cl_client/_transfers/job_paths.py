"""Paths that a server names: reduced to their part below the job, and never trusted."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath
from typing import Final

RESERVED_WINDOWS_NAME: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)", re.IGNORECASE
)
"""Devices: https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""

_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""RFC 3986, 3.1."""


def checked_path(path: str) -> str:
    """The path itself, if it stays below whatever folder it is joined to, on every operating system.

    Raises:
        ValueError: It is empty, absolute, a URL, has dots, a drive, a backslash or a control character, or
            names a device of Windows.
    """
    problem = (
        "it is a URL" if _SCHEME.match(path) else next(filter(None, map(_problem, path.split("/"))), None)
    )
    if problem is not None:
        raise ValueError(f"{path!r} is not a path below a job: {problem}")
    return path


def _problem(part: str) -> str | None:
    if not part:
        return "it is empty, absolute, or has an empty part"
    if part != part.rstrip(". "):  # Windows drops these, and so makes another name of it
        return "a part of it ends with a dot or a space"
    if _CONTROL_CHARACTER.search(part):
        return "it holds a control character"
    if "\\" in part or PureWindowsPath(part).drive:
        return "it holds a backslash or a drive"
    return "it names a device" if RESERVED_WINDOWS_NAME.match(part) else None


def path_below_job(path: str, job_id: str) -> str:
    """What follows the job's id in a path, which may be an absolute one of the server, of either system.

    Raises:
        ValueError: What remains is not a path below the job, see `checked_path`.
    """
    parts = re.split(r"[/\\]", path)
    if job_id in parts:
        path = "/".join(parts[parts.index(job_id) + 1 :])
    return checked_path(path)
