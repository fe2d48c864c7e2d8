from typing import Self

from amqtt.adapters import ReaderAdapter

class ConnectPacket:
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @classmethod
    async def from_stream(cls, reader: ReaderAdapter) -> Self: ...
