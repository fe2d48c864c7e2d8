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
_URL: Final = re.compile(rf"{_SCHEME.pattern}//", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"/|\\\\|[a-z]:[/\\]", re.IGNORECASE)
_WINDOWS: Final = re.compile(r"\\|[a-z]:[/\\]", re.IGNORECASE)
"""The start of an absolute path of Windows."""


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


def requestable_path(path: str, job_id: str) -> str:
    """Reduce a path to the part after the job's folder, and check that a request for it stays inside.

    Servers name files by paths relative to the job, or absolute ones on their own disk.

    Args:
        path: The path, with slashes, or with backslashes as on Windows.
        job_id: Id of the job, which is the name of its folder.

    Returns:
        The relative path inside the job's folder. Use `path_below_job` if a file is written there.

    Raises:
        ValueError: The remaining path is empty, absolute or a URL, or has an empty part, ``.`` or ``..``, a
            NUL or half of a surrogate pair.
    """
    below = path if _URL.match(path) else _after_job(path, job_id)
    if (problem := _problem_of_request(below)) is not None:
        raise ValueError(f"{path!r} is not a path below a job: {problem}")
    return below


def path_below_job(path: str, job_id: str) -> str:
    """Reduce a path to the part after the job's folder, and check that it stays inside any other folder.

    Args:
        path: The path, see `requestable_path`.
        job_id: Id of the job.

    Returns:
        The relative path inside the job's folder.

    Raises:
        ValueError: The remaining path is invalid, see `requestable_path` and `checked_path`.
    """
    return checked_path(requestable_path(path, job_id))


def _after_job(path: str, job_id: str) -> str:
    # Elsewhere a backslash may be part of a name.
    of_windows = "/" not in path or _WINDOWS.match(path) is not None
    parts = re.split(r"[/\\]" if of_windows else "/", path)
    # Other folders may have the same name: before the job's, or in it.
    folders = [index for index, part in enumerate(parts) if part == job_id]
    among_jobs = [index for index in folders if index and parts[index - 1] == "jobs"]
    if not among_jobs and not _ABSOLUTE.match(path):
        folders = [index for index in folders if index == 0]
    found = next(iter(among_jobs or folders), None)
    return path if found is None else "/".join(parts[found + 1 :])


def _problem_of_request(path: str) -> str | None:
    if _URL.match(path):
        return "it is a URL"
    if _ABSOLUTE.match(path) or "" in path.split("/"):
        return "it is empty, absolute, or has an empty part"
    if {".", ".."} & set(re.split(r"[/\\]", path)):
        return "a part of it is . or .."  # an HTTP client or the server would follow it
    if re.search("[\0\ud800-\udfff]", path):
        return "it contains a NUL or half of a surrogate pair"
    return None
