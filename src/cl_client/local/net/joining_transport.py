"""A transport that sends together what is written in one turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from typing_extensions import override

_LARGE: Final = 16 * 1024


class JoiningTransport(asyncio.Transport):
    """Holds small writes back until the end of the turn, as each write to a socket also wakes its reader.

    It has the methods that uvicorn calls, and no others.

    Args:
        below: Sends and receives.
    """

    def __init__(self, below: asyncio.Transport) -> None:
        super().__init__()
        self._below = below
        self._unsent = bytearray()

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) >= _LARGE:
            self._send()
            self._below.write(data)
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent += data
        if len(self._unsent) >= _LARGE:
            self._send()

    def _send(self) -> None:
        if self._unsent:
            unsent, self._unsent = self._unsent, bytearray()
            self._below.write(unsent)

    @override
    def close(self) -> None:
        self._send()
        self._below.close()

    @override
    def abort(self) -> None:
        self._unsent.clear()
        self._below.abort()

    @override
    def is_closing(self) -> bool:
        return self._below.is_closing()

    @override
    def get_extra_info(self, name: str, default: object = None) -> object:
        return cast("object", self._below.get_extra_info(name, default))

    @override
    def pause_reading(self) -> None:
        self._below.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._below.resume_reading()

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._below.set_protocol(protocol)
