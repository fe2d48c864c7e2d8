"""Paths from a server's response: never trusted, and reduced to the part inside the job's folder."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath
from typing import Final

RESERVED_WINDOWS_NAME: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)", re.IGNORECASE
)
"""Device names: https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""

_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""Scheme of a URL as in RFC 3986, 3.1."""


def checked_path(path: str) -> str:
    """Check that a path stays inside any folder that it is joined to, on every operating system.

    Args:
        path: A relative path with slashes.

    Returns:
        The path, unchanged.

    Raises:
        ValueError: The path is empty, absolute or a URL, contains ``..``, a drive, a backslash or a control
            character, or names a Windows device.
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
    if part != part.rstrip(". "):  # Windows removes these, which results in a different name
        return "a part of it ends with a dot or a space"
    if _CONTROL_CHARACTER.search(part):
        return "it contains a control character"
    if "\\" in part or PureWindowsPath(part).drive:
        return "it contains a backslash or a drive"
    return "it names a Windows device" if RESERVED_WINDOWS_NAME.match(part) else None


def path_below_job(path: str, job_id: str) -> str:
    """Reduce a path to the part after the job's id.

    Args:
        path: Path from the server, possibly absolute, with slashes or backslashes.
        job_id: Id of the job.

    Returns:
        The relative path inside the job's folder.

    Raises:
        ValueError: The remaining path is invalid, see `checked_path`.
    """
    parts = re.split(r"[/\\]", path)
    if job_id in parts:
        path = "/".join(parts[parts.index(job_id) + 1 :])
    return checked_path(path)
