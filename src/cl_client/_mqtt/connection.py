"""The MQTT connection: paho in a separate thread, connected to the event loop without blocking it.

The thread connects, reads and reconnects. It puts messages and state changes into a bounded queue, and one
wake-up of the loop processes everything in it. paho's callbacks run no application code, because an exception
in a callback would silently end paho's network loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import threading
import time
import traceback
from typing import TYPE_CHECKING

from paho.mqtt.enums import MQTTErrorCode

from cl_client._core.certificates import certificate_problem
from cl_client._core.log import get_logger
from cl_client._core.threads import in_thread
from cl_client._errors import ComputeClientError
from cl_client._mqtt.inbox import Inbox, News
from cl_client._mqtt.paho_client import connect, end_session, new_client
from cl_client._mqtt.protocol_choice import ProtocolChoice
from cl_client._mqtt.types import ConnectionOptions, ConnectionState, MQTTMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import paho.mqtt.client as paho
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from cl_client._mqtt.address import BrokerAddress
    from cl_client._mqtt.batch_client import BatchClient
    from cl_client._mqtt.protocol_choice import Attempt

logger = get_logger("cl_client.mqtt")

QOS = 1


class MQTTConnection:
    """A connection to a broker that reconnects until it is closed.

    Args:
        address: Address of the broker.
        topics: Topic filters to subscribe to (QoS 1) on every connection.
        on_messages: Called on the event loop with all messages that arrived since the last call.
        on_state: Called on the event loop when the state changes.
        on_overflow: Called on the event loop after messages were dropped because the loop was too slow;
            followed jobs then have to be read again.
        options: Times, limits and credentials.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        topics: Sequence[str] = (),
        on_messages: Callable[[list[MQTTMessage]], None] | None = None,
        on_state: Callable[[ConnectionState], None] | None = None,
        on_overflow: Callable[[], None] | None = None,
        options: ConnectionOptions | None = None,
    ) -> None:
        self.address = address
        self.state = ConnectionState.DISCONNECTED
        self.problem: str | None = None
        self._topics = tuple(topics)
        self._on_messages = on_messages
        self._on_state = on_state
        self._on_overflow = on_overflow
        self._options = options or ConnectionOptions()
        # Two processes with the same client id would disconnect each other forever.
        self._client_id = f"cl_client-{secrets.token_hex(8)}"
        self._choice = ProtocolChoice()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._inbox = Inbox(self._take_inbox, self._options.queue_limit)
        self._paho: BatchClient | None = None
        self._attempt = self._choice.attempt()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def dropped(self) -> int:
        """Number of messages that were dropped because the event loop was too slow."""
        return self._inbox.dropped

    @property
    def connected(self) -> bool:
        """Whether the broker is connected and subscribed, as far as the event loop knows."""
        return self.state is ConnectionState.CONNECTED

    def start(self) -> None:
        """Start connecting; returns immediately. Needs a running event loop."""
        if self._thread is not None:
            return
        self._inbox.attach(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{self.address.host}", daemon=True)
        self._thread.start()

    async def wait_connected(self, timeout: float) -> bool:  # noqa: ASYNC109 - part of the interface
        """Wait until the broker is connected and subscribed.

        Args:
            timeout: Maximum seconds to wait.

        Returns:
            Whether it is connected.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.state not in {ConnectionState.CONNECTED, ConnectionState.CLOSED}:
                    await self._changed.wait()
        return self.connected

    async def close(self) -> None:
        """Disconnect, and wait until the thread has ended. Idempotent.

        This ends the MQTT 5 session. If there is no connection, none is opened for that: the session expires
        at the broker after ``session_expiry``.

        If the host does not answer, this takes up to ``connect_timeout``, without blocking the event loop. It
        may be called on a different loop only after the connection's own loop was closed.
        """
        if self._thread is not None:
            self.detach()
            if not self._inbox.is_abandoned:
                await self._ended.wait()
                self._thread.join()
            else:
                await in_thread(self._thread.join)
        self.state = ConnectionState.CLOSED
        self._changed.set()

    def detach(self) -> None:
        """Ask the thread to end, without waiting for it; works on any event loop."""
        self._closing.set()
        client = self._paho
        if client is not None:
            end_session(client)

    # Called on the event loop.

    def _take_inbox(self) -> None:
        """Process everything in the inbox; all messages and states from the thread pass through here."""
        news, overflowed = self._inbox.take()
        messages: list[MQTTMessage] = []
        for item in news:
            if isinstance(item, MQTTMessage):
                messages.append(item)
                continue
            self._hand_over(messages)
            messages = []
            self._change_state(item)
        self._hand_over(messages)
        if overflowed:
            logger.warning(
                "%s: messages arrived faster than the event loop processes them; %d dropped",
                self.address,
                self.dropped,
            )
            if self._on_overflow is not None:
                self._on_overflow()

    def _hand_over(self, messages: list[MQTTMessage]) -> None:
        if messages and self._on_messages is not None and not self._closing.is_set():
            self._on_messages(messages)

    def _change_state(self, state: ConnectionState) -> None:
        self.state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self._on_state is not None and not self._closing.is_set():
            self._on_state(state)

    # Called in the thread.

    def _run(self) -> None:
        try:
            self._keep_connected()
        except Exception:
            logger.exception("%s: the connection's thread ended with an unexpected error", self.address)
        finally:
            # paho's wake-up sockets are closed with the last reference to its client.
            self._paho = None
            with contextlib.suppress(RuntimeError):  # the loop was closed without `close()`
                self._inbox.call(self._ended.set)

    def _keep_connected(self) -> None:
        """Connect, serve and pause in a loop until the connection is closed."""
        pause = self._options.reconnect_min
        while not self._closing.is_set():
            self._put(ConnectionState.CONNECTING)
            attempt = self._connect_and_serve()
            if self._closing.is_set():
                return
            at_once = self._choice.take_in(attempt)
            if self._choice.version is not attempt.version:
                logger.debug("%s: trying %s next", self.address, self._choice.version.name)
                self._paho = None
            if at_once:
                continue
            if attempt.live:
                pause = self._options.reconnect_min
            refused = attempt.refuses_credentials
            self._put(ConnectionState.REFUSED if refused else ConnectionState.DISCONNECTED)
            # Jitter, so that not all clients reconnect to a restarted broker at the same moment.
            wait = self._options.refused_pause if refused else pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self._closing.wait(wait)
            pause = min(pause * 2, self._options.reconnect_max)

    def _connect_and_serve(self) -> Attempt:
        """Open one connection, and serve it until it ends."""
        attempt = self._attempt = self._choice.attempt()
        try:
            client = self._client_for()
            connect(client, self.address, self._options)
        except Exception as exc:  # noqa: BLE001 - reported; affects only this connection
            # Including errors of paho, or of an auth provider's code.
            logger.debug("%s: connecting failed\n%s", self.address, traceback.format_exc())
            self._report(_why_not_connected(exc))
            return attempt
        attempt.opened = True
        try:
            self._serve(client, attempt)
        except Exception as exc:  # noqa: BLE001 - reported; affects only this connection
            # An error of paho or of this module ends only this connection. It is logged as text: a record
            # with the traceback would keep paho's client and its sockets open.
            logger.error("%s: connection lost, unexpected error\n%s", self.address, traceback.format_exc())  # noqa: TRY400 - see above
            self._report(f"connection lost, unexpected error: {exc!r}")
            self._paho = None
        return attempt

    def _serve(self, client: BatchClient, attempt: Attempt) -> None:
        """Run paho's network loop until the connection ends."""
        deadline = time.monotonic() + self._options.connect_timeout
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        while result == MQTTErrorCode.MQTT_ERR_SUCCESS:
            if self._inbox.is_abandoned:
                self._closing.set()
            if self._closing.is_set():
                end_session(client)
            elif not attempt.live and attempt.problem is None and time.monotonic() > deadline:
                self._report(f"{attempt.awaited} timed out after {self._options.connect_timeout:g} s")
                attempt.silent = not attempt.answered
                client.disconnect()
            result = client.turn(0.1 if not attempt.live else 1.0)
        if self._closing.is_set():
            return
        if attempt.live:
            self._report("connection lost")
        elif attempt.problem is None and not (attempt.probe and attempt.accepted):
            self._report(f"the broker closed the connection without answering {attempt.awaited}")

    def _client_for(self) -> BatchClient:
        """Get the paho client for the protocol version; reconnects reuse it, to keep its session."""
        client = self._paho or self._new_client()
        credentials = self._options.credentials_for(self.address)
        if credentials is not None:
            client.username_pw_set(credentials.username, credentials.password.get_secret_value() or None)
        self._paho = client
        return client

    def _new_client(self) -> BatchClient:
        client = new_client(self._client_id, self._choice.version, self.address, self._options)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._attempt.answered = True
        if reason.is_failure:
            self._attempt.refused = reason
            self._report(f"the broker refused the connection: {reason}")
        elif self._attempt.probe:
            client.disconnect()
        elif self._topics:
            client.subscribe([(topic, QOS) for topic in self._topics])
        else:
            self._go_live()

    def _on_subscribe(
        self,
        client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._report(f"the broker refused the subscription to {', '.join(refused)}")
            client.disconnect()
        else:
            self._go_live()

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            logger.debug("%s: a message on a topic that is not UTF-8 was ignored", self.address)
            return
        self._put(MQTTMessage(topic, bytes(message.payload), message.retain))

    def _go_live(self) -> None:
        self._attempt.live = True
        self.problem = None
        self._put(ConnectionState.CONNECTED)

    def _put(self, news: News) -> None:
        try:
            self._inbox.put(news)
        except RuntimeError:  # the loop was closed without `close()`: nobody will process the messages
            self._closing.set()

    def _report(self, problem: str) -> None:
        """Keep the problem for the receiver of the state change, which logs it; here only at DEBUG."""
        logger.debug("%s: %s", self.address, problem)
        self.problem = self._attempt.problem = problem


def _why_not_connected(exc: Exception) -> str:
    if isinstance(exc, ComputeClientError):
        return str(exc)
    if not isinstance(exc, OSError | ValueError):
        return f"cannot connect, unexpected error: {exc!r}"
    problem = certificate_problem(exc)
    return f"cannot connect: {exc if problem is None else f'the certificate is not trusted: {problem}'}"
