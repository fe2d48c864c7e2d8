"""Fails if versions and changelog differ, or if a tracked file names a package index."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cl_client

ROOT = Path(__file__).resolve().parent.parent
# In two halves, so that this file does not contain what it looks for.
INDEX_HOSTS = ("py" + "pi.org", "python" + "hosted.org")


def version_of(pyproject: Path) -> str:
    """Read the version of a project.

    Args:
        pyproject: Its ``pyproject.toml``.

    Returns:
        The version.

    Raises:
        SystemExit: The file has no version.
    """
    match = re.search(r'^version = "([^"]+)"', pyproject.read_text(), re.MULTILINE)
    if match is None:
        raise SystemExit(f"{pyproject}: version not found")
    return match[1]


def problems() -> list[str]:
    """Check the release.

    Returns:
        The problems found.
    """
    found: list[str] = []
    versions = {
        "pyproject.toml": version_of(ROOT / "pyproject.toml"),
        "example/pyproject.toml": version_of(ROOT / "example" / "pyproject.toml"),
        "cl_client.__version__": cl_client.__version__,
    }
    if len(set(versions.values())) != 1:
        found.append(f"versions differ: {versions}")
    if f"## {cl_client.__version__}" not in (ROOT / "CHANGELOG.md").read_text():
        found.append(f"CHANGELOG.md has no section for {cl_client.__version__}")
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S607 - on PATH
    for name in listing.stdout.splitlines():
        if name.endswith("uv.lock"):
            found.append(f"{name} is tracked, and names a package index")
        elif (ROOT / name).is_file():
            text = (ROOT / name).read_bytes().decode(errors="replace")
            found += [f"{name} names {host}" for host in INDEX_HOSTS if host in text]
    return found


if __name__ == "__main__":
    if complaints := problems():
        sys.exit("\n".join(complaints))
