"""What all tasks do with files: refuse an empty one, and write a result whole or not at all."""

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
"""A picture or video frame with more pixels is refused: decoded, it would fill about 2 GB of memory."""

_JSON_OBJECT = TypeAdapter(JSONObject)


def require_content(file: Path) -> None:
    """Make sure that a file can be read and has something in it.

    Raises:
        TaskFailedError: It is empty, or the system does not let it be read.
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
    """Give a path beside ``target`` to write to, which takes its place when the block ends well.

    Raises:
        TaskFailedError: The system does not let it be written, for instance because the disk is full.
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
    """Write a JSON object.

    Raises:
        TaskFailedError: The system does not let it be written.
    """
    with written_whole(target) as partial:
        partial.write_bytes(_JSON_OBJECT.dump_json(content, indent=2))
