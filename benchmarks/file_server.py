"""A server that costs next to nothing, in a separate process: ``file_server.py SIZE`` prints its address.

Each GET is answered with the same file of SIZE bytes, each POST with a job. What a client of it takes is then
the client's own work.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from typing import IO, TYPE_CHECKING, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
_JOB = b'{"job_id": "c0ffee", "status": "queued", "task_type": "null"}'


class _Connection(asyncio.Protocol):
    def __init__(self, file: bytes) -> None:
        self._file = _answer(file, b"application/octet-stream", b'ETag: "0"\r\n')
        self._job = _answer(_JOB, b"application/json")
        self._received = bytearray()
        self._left = 0
        self._answer = self._file
        self._transport: asyncio.BaseTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        if self._left:  # more of a body
            self._left -= len(data)
        else:
            self._received += data
            head, end, body = self._received.partition(_END)
            if not end:
                return
            length = _LENGTH.search(head)
            self._left = int(length[1]) - len(body) if length else 0
            self._answer = self._job if head.startswith(b"POST") else self._file
            self._received.clear()
        if not self._left:
            cast("asyncio.Transport", self._transport).write(self._answer)


def _answer(body: bytes, kind: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        kind,
        more,
        len(body),
        body,
    )


@contextlib.contextmanager
def file_server(size: int) -> Generator[str]:
    """Run the server while the context is open.

    Args:
        size: Bytes of its file.

    Yields:
        Its URL.
    """
    command = [sys.executable, __file__, str(size)]
    with subprocess.Popen(  # noqa: S603 - this file
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield cast("IO[str]", process.stdout).readline().strip()
        finally:
            cast("IO[str]", process.stdin).close()


async def _serve(size: int) -> None:
    file = bytes(number % 251 for number in range(size))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(file), "127.0.0.1", 0)
    _host, port = cast("tuple[str, int]", server.sockets[0].getsockname())
    print(f"http://127.0.0.1:{port}", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
