"""An auth service whose clock, health and tokens a test controls; any other path of it demands a token."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections import Counter
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from patience import within
from support import port_of

if TYPE_CHECKING:
    from typing import Self

PASSWORD: Final = "correct-horse"


def unsigned_token(**claims: float | str) -> str:
    """What looks like a JWT; its signature is none."""
    header, payload = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({}, claims)
    )
    return b".".join([header, payload, b"no-signature"]).decode()


class ScriptedAuth:
    """Serves ``/auth/token``, ``/auth/token/refresh`` and, to whoever has a token, everything else.

    Args:
        lifetime: Seconds that a token says it is good for. It counts until `revoke`.
        clock_offset: Seconds by which the server's clock is ahead.
        says_date: Whether answers have a ``Date``.
        says_iat: Whether tokens have an ``iat``.
        tokens: Those that count, to share with another service; None for an own set.

    Attributes:
        calls: How often each path was called, whatever came of it.
        refused: Requests that were answered with 401, by path.
        hangs: Paths whose requests get no answer before `release`.
        answers: What to send, byte for byte, to a path.
        latest: The token that was issued last.
    """

    def __init__(
        self,
        lifetime: float = 1800.0,
        clock_offset: float = 0.0,
        *,
        says_date: bool = True,
        says_iat: bool = False,
        tokens: set[str] | None = None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.hangs: set[str] = set()
        self.answers: dict[str, bytes] = {}
        self.tokens: set[str] = set() if tokens is None else tokens
        self.latest = ""
        self.port = 0
        self._lifetime = lifetime
        self._offset = clock_offset
        self._says_date = says_date
        self._says_iat = says_iat
        self._issued = 0
        self._news = asyncio.Condition()
        self._released = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_args: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Come up, at the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = port_of(self._server.sockets[0])

    async def stop(self) -> None:
        """Go down: refuse connections, and end those that are open."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def revoke(self) -> None:
        """Let no token that was issued so far count any more."""
        self.tokens.clear()

    def release(self) -> None:
        """Answer the requests that hang, and let no further ones hang."""
        self.hangs.clear()
        self._released.set()

    def issue(self) -> str:
        """A token that counts."""
        now = time.time() + self._offset
        self._issued += 1
        times = {"exp": now + self._lifetime, **({"iat": now} if self._says_iat else {})}
        token = unsigned_token(**times, id=str(self._issued))
        self.tokens.add(token)
        self.latest = token
        return token

    async def called(self, path: str, times: int = 1) -> None:
        """Wait until a path was called so often."""
        async with within(), self._news:
            await self._news.wait_for(lambda: self.calls[path] >= times)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                body = (await reader.readexactly(_length(head))).decode()
                path = head.split(" ")[1]
                async with self._news:
                    self.calls[path] += 1
                    self._news.notify_all()
                if path in self.hangs:
                    await self._released.wait()
                writer.write(self.answers.get(path) or self._answer(path, head, body))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _answer(self, path: str, head: str, body: str) -> bytes:
        if path == "/auth/token":
            good, words = parse_qs(body).get("password") == [PASSWORD], "Incorrect username or password"
        else:
            good = any(f"Bearer {token}\r" in head for token in self.tokens)
            words = "Could not validate credentials"
        if not good:
            self.refused[path] += 1
            return self._reply("401 Unauthorized", {"detail": words})
        if path.startswith("/auth/token"):
            return self._reply("200 OK", {"access_token": self.issue(), "token_type": "bearer"})
        return self._reply(
            "200 OK", {"id": 1, "username": "me", "job_id": "j", "task_type": "t", "status": "queued"}
        )

    def _reply(self, status: str, content: dict[str, str | int]) -> bytes:
        body = json.dumps(content).encode()
        date = f"Date: {formatdate(time.time() + self._offset, usegmt=True)}\r\n" if self._says_date else ""
        return f"HTTP/1.1 {status}\r\n{date}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _length(head: str) -> int:
    lines = (line.partition(":") for line in head.lower().splitlines())
    return next((int(value) for name, _, value in lines if name == "content-length"), 0)
