"""Requests whose headers have an end."""

from __future__ import annotations

from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES: Final = 512 * 1024
"""More than asyncio reads at once (256 KiB), as such a block may also contain bodies."""


class BoundedHTTP(HttpToolsProtocol):
    """uvicorn's protocol, with a limit for headers, chunk sizes and trailers; httptools has none."""

    _is_between_bodies = True
    _header_bytes = 0

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_between_bodies:
            self._header_bytes = 0
            return
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's headers are larger than {MAX_HEADER_BYTES} bytes")

    @override
    def on_message_begin(self) -> None:
        self._expect_header()
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._expect_header()  # of the first chunk, if there is one
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._is_between_bodies = False
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        """Expect another chunk, or trailers; called by httptools."""
        self._expect_header()

    def _expect_header(self) -> None:
        self._is_between_bodies, self._header_bytes = True, 0
