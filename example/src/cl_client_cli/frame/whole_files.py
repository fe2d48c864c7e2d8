"""Files that are complete or missing, never partial."""

from __future__ import annotations

import os
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from cl_client.exceptions import FileWriteError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import BinaryIO


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
    part = target.with_name(f".{token_hex(8)}.part")  # the target's own name may have no room for a suffix
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def written_durably(target: Path) -> Generator[BinaryIO]:
    """Write a file like a download: whole or not at all, and on the disk when the block has ended.

    Args:
        target: The file to write; missing folders are created.

    Yields:
        The open file.

    Raises:
        FileWriteError: The file cannot be written.
    """
    try:
        with written_whole(target) as part, part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except (OSError, ValueError) as exc:
        error = FileWriteError.of(target, exc)
        raise error from exc
