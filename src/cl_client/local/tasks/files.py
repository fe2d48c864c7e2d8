"""File operations of all tasks: refuse an empty input, and write results atomically."""

from __future__ import annotations

from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PIXEL_LIMIT: Final = 500_000_000
"""An image or video frame with more pixels is refused: it would take about 2 GB of memory when decoded."""

_JSON_OBJECT = TypeAdapter(JSONObject)


def require_content(file: Path) -> None:
    """Check that a file can be read and is not empty.

    Args:
        file: The file.

    Raises:
        TaskFailedError: The file is empty or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            first_byte = stream.read(1)
    except OSError as exc:
        raise TaskFailedError(f"{file.name}: cannot be read: {exc.strerror}") from exc
    if not first_byte:
        raise TaskFailedError(f"{file.name}: the file is empty")


@contextmanager
def written_whole(target: Path) -> Generator[Path]:
    """Write a file atomically: a temporary file replaces it when the block ends without an error.

    Args:
        target: The file to write.

    Yields:
        The path of the temporary file, in the same folder; it does not exist yet.

    Raises:
        TaskFailedError: The file cannot be written, for instance because the disk is full.
        OSError: A library raised it in the block about the content, without an error number.
    """
    partial = target.with_name(f".{token_hex(8)}.partial")
    try:
        yield partial
        partial.replace(target)
    except OSError as exc:
        if exc.errno is None:  # raised by a library about the content, not by the system
            raise
        raise TaskFailedError(f"{target.name}: cannot be written: {exc.strerror}") from exc
    finally:
        partial.unlink(missing_ok=True)


def write_json(target: Path, content: JSONObject) -> None:
    """Write a JSON object atomically.

    Args:
        target: The file to write.
        content: The JSON object.

    Raises:
        TaskFailedError: The file cannot be written.
    """
    with written_whole(target) as partial:
        partial.write_bytes(_JSON_OBJECT.dump_json(content, indent=2))
