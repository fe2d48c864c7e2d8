"""Uploads: a file and form fields as a request body that can be sent again."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import httpx
from typing_extensions import override

from cl_client._http_errors import ServerUnavailableError
from cl_client._transfers.progress import Reporter
from cl_client._transfers.sources import open_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from cl_client._transfers.sources import Source
    from cl_client.options import ByteProgress, LocalSource


class MultipartUpload(httpx.AsyncByteStream):
    """A file and form fields as ``multipart/form-data`` (RFC 7578).

    The file is read in a thread, block by block. Each iteration sends the whole body again, if the source can
    be read again.

    Attributes:
        headers: Headers for the request, with the length of the body if it is known.
        sent: Bytes of the file that the last iteration has sent.
        whole: Whether it has sent the end of the body; without it, no server can accept the file.
    """

    def __init__(
        self, fields: Mapping[str, str], source: Source, on_upload: ByteProgress | None = None
    ) -> None:
        self._source = source
        self.sent = 0
        self.whole = False
        self._report = Reporter(on_upload, source.size)
        boundary = secrets.token_hex(16)
        head = (
            f"{_text_parts(fields, boundary)}--{boundary}\r\nContent-Disposition: form-data; "
            f'name="file"; filename="{_quoted(source.name)}"\r\n'
            f"Content-Type: {source.media_type}\r\n\r\n"
        )
        self._head = head.encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if source.size is None:
            self.headers["Transfer-Encoding"] = "chunked"
        else:
            self.headers["Content-Length"] = str(len(self._head) + source.size + len(self._tail))

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, fields: Mapping[str, str], source: LocalSource, on_upload: ByteProgress | None = None
    ) -> AsyncGenerator[MultipartUpload]:
        """Open the file, and close it at the end of the context.

        Args:
            fields: Form fields as text, by name.
            source: The file.
            on_upload: Called with the bytes of the file sent so far and the total, which is None if unknown;
                starts again from 0 if the request is sent again.

        Yields:
            The upload.

        Raises:
            InvalidParameterError: The file is not found, a folder, not readable, empty, or not a binary file.
            ServerUnavailableError: Raised in the context; ``may_have_been_accepted`` is set to False if the
                end of the file was not sent.
        """
        opened = await open_source(source)
        upload = cls(fields, opened, on_upload)
        try:
            yield upload
        except ServerUnavailableError as exc:
            exc.may_have_been_accepted &= upload.whole
            raise
        finally:
            await opened.close()

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.sent, self.whole = 0, False
        yield self._head
        async with contextlib.aclosing(self._source.blocks()) as blocks:
            async for block in blocks:
                yield block
                self.sent += len(block)
                self._report(self.sent)
        self.whole = True
        yield self._tail


class MultipartForm(httpx.AsyncByteStream):
    """Form fields without a file as ``multipart/form-data``. Each iteration sends the whole body again.

    Attributes:
        headers: Headers for the request, with the length of the body.
        sent: Bytes of a file that were sent, always 0.
        whole: Whether the last iteration has sent the body.
        on_upload: Called with 0 and 0 before the body is sent.
    """

    def __init__(
        self, fields: Mapping[str, str], headers: Mapping[str, str], on_upload: ByteProgress | None = None
    ) -> None:
        self.on_upload = on_upload
        self._report = Reporter(on_upload, 0)
        boundary = secrets.token_hex(16)
        self._body = f"{_text_parts(fields, boundary)}--{boundary}--\r\n".encode()
        self.headers = {
            **headers,
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._body)),
        }
        self.sent = 0
        self.whole = False

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.whole = False
        self._report(0)
        self.whole = True
        yield self._body


def _text_parts(fields: Mapping[str, str], boundary: str) -> str:
    return "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    )


def _quoted(text: str) -> str:
    """Quote a name like browsers do (HTML standard, multipart/form-data encoding)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
