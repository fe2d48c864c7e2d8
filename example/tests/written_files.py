"""Files of which only the names matter."""

from __future__ import annotations

from pathlib import Path


def make(*names: str) -> None:
    """Write files, each with its name as its content."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(name.encode("utf-8", "surrogateescape"))
