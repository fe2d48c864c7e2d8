"""Uploads: the body of a POST is streamed to the job's folder and never held in memory as a whole."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from cl_client._transfers.job_paths import RESERVED_WINDOWS_NAME
from cl_client._transfers.names import shortened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

FILE_FIELD: Final = "file"

_WRITE_BYTES: Final = 1024 * 1024
_SMALL_BYTES: Final = 64 * 1024
"""A file below this size is not written here, but with the job's row, which saves three turns of threads."""
_MAX_TEXT_BYTES: Final = 1024 * 1024
_MAX_PARTS: Final = 1000
_MAX_NAME_BYTES: Final = 255

# Characters that Windows reserves: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_FORBIDDEN = re.compile(r'[<>:"|?*]')


def safe_file_name(name: str) -> str:
    """Turn a name sent by a client into a base name that is valid on every system.

    Folders are removed, characters that are invalid in file names are replaced, and the name is shortened to
    255 bytes of UTF-8, keeping the extension. If nothing remains, the name is ``file``.

    Args:
        name: The file name of the upload.

    Returns:
        A bare file name without any path.
    """
    base = re.split(r"[/\\]", name)[-1]
    printable = "".join(character for character in base if character.isprintable())
    # Windows drops trailing dots and spaces, which would change the name.
    cleaned = _FORBIDDEN.sub("_", printable).strip().rstrip(". ")
    if RESERVED_WINDOWS_NAME.match(cleaned):
        cleaned = f"_{cleaned}"
    return shortened(cleaned, _MAX_NAME_BYTES) or "file"


@dataclass(slots=True)
class ReceivedForm:
    """A received form.

    Attributes:
        fields: The text fields; of duplicate names the last one is kept.
        file_name: The safe name of the file; None if no file was sent.
        content: The file, if it is small; None if it was stored.
    """

    fields: dict[str, str] = field(default_factory=dict[str, str])
    file_name: str | None = None
    content: bytes | None = None


class FormReceiver:
    """Receives one form.

    Args:
        folder: Folder for a file that is not small; created for it.
        max_bytes: Size limit of the body, in bytes.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._form = ReceivedForm()
        self._buffer = bytearray()
        self._segment: MultipartSegment | None = None
        self._receives_file = False
        self._output: IO[bytes] | None = None

    async def receive(self, request: Request) -> ReceivedForm:
        """Read the whole body.

        Args:
            request: The request, its body not read yet.

        Returns:
            The form; empty if the request has another content type.

        Raises:
            HTTPException: 413 for a body that is too large, 400 for a malformed form.
            ClientDisconnect: The client disconnected before the end of the body.
        """
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != "multipart/form-data" or not options.get("boundary"):
            return self._form
        parser = PushMultipartParser(options["boundary"], max_segment_count=_MAX_PARTS)
        try:
            async for chunk in self._limited(request):
                for event in parser.parse(chunk):
                    await self._take(event)
            parser.close()
        except MultipartError as exc:
            raise HTTPException(400, "There was an error parsing the body") from exc
        finally:
            await self._close_output()
        return self._form

    async def _limited(self, request: Request) -> AsyncIterator[bytes]:
        announced = request.headers.get("content-length", "")
        received = int(announced) if announced.isdecimal() else 0
        if received > self._max_bytes:
            raise self._too_large()
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > self._max_bytes:
                raise self._too_large()
            if chunk:
                yield chunk

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"Upload is larger than {self._max_bytes} bytes")

    async def _take(self, event: MultipartSegment | bytes | None) -> None:
        """Handle one event of the parser: a part begins, continues, or ends."""
        if isinstance(event, MultipartSegment):
            self._segment = event
            is_file = event.name == FILE_FIELD and event.filename is not None
            if is_file and self._form.file_name is None:
                self._form.file_name = safe_file_name(event.filename or "")
                self._receives_file = True
        elif event is None:
            await self._end_part()
        elif self._receives_file:
            self._buffer += event
            if self._output is None and len(self._buffer) >= _SMALL_BYTES:
                self._output = await asyncio.to_thread(self._opened)
            if self._output is not None and len(self._buffer) >= _WRITE_BYTES:
                await self._flush(self._output)
        elif self._is_text():
            self._buffer += event
            if len(self._buffer) > _MAX_TEXT_BYTES:
                raise HTTPException(400, f"Part exceeded maximum size of {_MAX_TEXT_BYTES // 1024}KB.")

    def _is_text(self) -> bool:
        return self._segment is not None and self._segment.filename is None

    async def _end_part(self) -> None:
        if self._output is not None:
            await self._close_output()
        elif self._receives_file:
            self._form.content = bytes(self._buffer)
            self._buffer.clear()
        elif self._segment is not None and self._is_text():
            self._form.fields[self._segment.name or ""] = self._buffer.decode(errors="replace")
            self._buffer.clear()
        self._receives_file = False
        self._segment = None

    def _opened(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        return (self._folder / (self._form.file_name or "")).open("xb")

    async def _flush(self, output: IO[bytes]) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        await asyncio.to_thread(output.write, data)

    async def _close_output(self) -> None:
        output, self._output = self._output, None
        if output is not None:
            try:
                data, self._buffer = bytes(self._buffer), bytearray()
                await asyncio.to_thread(output.write, data)
            finally:
                await asyncio.to_thread(output.close)
