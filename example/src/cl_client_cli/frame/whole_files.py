"""Files that are complete or missing, never partial."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def written_whole(target: Path) -> Generator[Path]:
    """Write a file under a temporary name, which it keeps until the block ends without an error.

    Args:
        target: The file to write; missing folders are created.

    Yields:
        The path to write to, in the same folder.

    Raises:
        OSError: The folder cannot be created, or the file cannot be renamed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
