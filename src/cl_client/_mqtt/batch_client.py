"""paho's client with few system calls: one read for all that arrived, one write for all that is to be sent.

paho itself reads a packet in three calls, writes each by itself, and wakes its thread for each. A job has
five messages and as many acknowledgements, and every call gives up the interpreter's lock and waits for it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from typing_extensions import override

if TYPE_CHECKING:
    from paho.mqtt.enums import MQTTProtocolVersion

_BUFFER_BYTES: Final = 64 * 1024
_PACKET_TYPE: Final = 0xF0
_DISCONNECT: Final = 0xE0


class BatchClient(paho.Client):
    """Call `turn`, always in the same thread, instead of paho's `loop`.

    Overridden are the methods in which paho reads and writes its socket; a version of paho without them would
    only be slower.

    Args:
        client_id: MQTT client id.
        version: Protocol version.
        websocket: Whether the broker is reached by a web socket.
    """

    def __init__(self, client_id: str, version: MQTTProtocolVersion, *, websocket: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            transport="websockets" if websocket else "tcp",
        )
        self._received = b""
        self._read = 0
        self._unsent = bytearray()
        self._thread_id = 0
        self._woken, self._waking = socket.socketpair()
        for end in (self._woken, self._waking):
            end.setblocking(False)  # noqa: FBT003 - it takes no keyword
        # With this hook, paho never writes to the socket in the caller's thread. It is a function without a
        # reference to the client, which would be a cycle.
        self.on_socket_register_write = _on_register_write

    @override
    def __del__(self) -> None:
        self._woken.close()
        self._waking.close()
        super().__del__()

    @override
    def reconnect(self) -> MQTTErrorCode:
        self._received, self._read = b"", 0
        self._unsent.clear()
        return super().reconnect()

    def wake(self) -> None:
        """End the wait of `turn`, unless this is its thread. Thread-safe."""
        if threading.get_ident() != self._thread_id:
            with contextlib.suppress(BlockingIOError):  # enough wake-ups are waiting
                self._waking.send(b"\0")

    def turn(self, timeout: float) -> MQTTErrorCode:
        """Wait until there is something to do, and do all of it.

        Args:
            timeout: Maximum seconds to wait.

        Returns:
            An error if the connection has ended.
        """
        self._thread_id = threading.get_ident()
        connection = self.socket()
        if connection is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        pending = getattr(connection, "pending", None)  # of TLS and of web sockets
        is_pending = callable(pending) and bool(pending())
        writes = [connection] if self.want_write() or self._unsent else []
        try:
            readable, _, _ = select.select(
                [connection, self._woken], writes, [], 0 if is_pending else timeout
            )
        except (TypeError, ValueError):  # it was closed, or its number is too high for select
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if self._woken in readable:
            self._woken.recv(_BUFFER_BYTES)
        if is_pending or connection in readable:
            result = self._read_all()
            if result or self.socket() is None:
                return result
        if self.want_write() or self._unsent:
            result = self._write_all()
            if result or self.socket() is None:
                return result
        return self.loop_misc()

    def _read_all(self) -> MQTTErrorCode:
        """Process every packet of the next bytes."""
        while True:
            result = self.loop_read()
            if result or self.socket() is None or self._read >= len(self._received):
                return result

    def _write_all(self) -> MQTTErrorCode:
        result = self.loop_write()
        if result or self.socket() is None:
            return result
        try:
            self._flush()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)  # closes the socket
        return result

    def _flush(self) -> None:
        while self._unsent:
            sent = super()._sock_send(self._unsent)
            del self._unsent[:sent]

    @override
    def _sock_recv(self, bufsize: int) -> bytes:
        if self._read >= len(self._received):
            self._received, self._read = b"", 0
            self._received = super()._sock_recv(_BUFFER_BYTES)
        data = self._received[self._read : self._read + bufsize]
        self._read += len(data)
        return data

    @override
    def _sock_send(self, buf: bytes | bytearray) -> int:
        if buf[0] & _PACKET_TYPE == _DISCONNECT:  # paho closes the socket after it
            self._flush()
            return super()._sock_send(buf)
        if len(self._unsent) >= _BUFFER_BYTES:
            self._flush()
        self._unsent += buf
        return len(buf)


def _on_register_write(client: paho.Client, _userdata: object, _socket: object) -> None:
    if isinstance(client, BatchClient):
        client.wake()
