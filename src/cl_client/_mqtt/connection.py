"""One MQTT connection: paho in a thread of its own, joined to the event loop without ever blocking it.

The thread connects, reads and reconnects; whatever it learns goes into a bounded queue, and one wake-up of
the loop takes everything that has gathered there. No callback of paho runs foreign code, because an exception
inside one would end paho's network loop without a word.
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
    from cl_client._mqtt.protocol_choice import Attempt

logger = get_logger("cl_client.mqtt")

QOS = 1


class MQTTConnection:
    """A connection that keeps itself up until it is closed.

    Args:
        address: The broker.
        topics: Filters to subscribe to (QoS 1) on every connection.
        on_messages: Called on the loop with everything that came since the last call.
        on_state: Called on the loop when the state changes.
        on_overflow: Called on the loop after messages had to be dropped because the loop did not keep up:
            whoever follows something must look at the truth again.
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
        # Two processes with one client id would throw each other out for ever.
        self._client_id = f"cl_client-{secrets.token_hex(8)}"
        self._choice = ProtocolChoice()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._inbox = Inbox(self._take_inbox, self._options.queue_limit)
        self._paho: paho.Client | None = None
        self._attempt = self._choice.attempt()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def dropped(self) -> int:
        """How many messages came faster than the loop could take them."""
        return self._inbox.dropped

    @property
    def connected(self) -> bool:
        """Whether messages arrive right now, as far as the loop has been told."""
        return self.state is ConnectionState.CONNECTED

    def start(self) -> None:
        """Begin to connect; returns at once. Needs a running loop."""
        if self._thread is not None:
            return
        self._inbox.attach(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{self.address.host}", daemon=True)
        self._thread.start()

    async def wait_connected(self, timeout: float) -> bool:  # noqa: ASYNC109 - part of the interface
        """Wait until connected and subscribed; False when that did not happen in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.state not in {ConnectionState.CONNECTED, ConnectionState.CLOSED}:
                    await self._changed.wait()
        return self.connected

    async def close(self) -> None:
        """Disconnect and wait until the thread has ended. Idempotent.

        An MQTT 5 session ends with it. While there is no connection none is made for that: the broker forgets
        the session after ``session_expiry``.

        Takes up to ``connect_timeout`` while a host does not answer, without blocking the loop. From another
        loop only when the connection's own one is closed.
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
        """Ask the thread to end, without waiting: also from another loop than the connection's own."""
        self._closing.set()
        client = self._paho
        if client is not None:
            end_session(client)

    # The loop's side.

    def _take_inbox(self) -> None:
        """Hand over what has gathered; the one place where the thread's news reach the loop."""
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
                "%s: more messages than the loop could take; %d dropped", self.address, self.dropped
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

    # The thread's side.

    def _run(self) -> None:
        try:
            self._keep_connected()
        except Exception:
            logger.exception("%s: the connection's thread ended by a fault of its own", self.address)
        finally:
            # paho's wake-up sockets close when the last reference to its client goes.
            self._paho = None
            with contextlib.suppress(RuntimeError):  # the loop was closed without `close()`
                self._inbox.call(self._ended.set)

    def _keep_connected(self) -> None:
        """Connect, serve, pause, again, until closing."""
        pause = self._options.reconnect_min
        while not self._closing.is_set():
            self._put(ConnectionState.CONNECTING)
            attempt = self._connect_and_serve()
            if self._closing.is_set():
                return
            at_once = self._choice.take_in(attempt)
            if self._choice.version is not attempt.version:
                logger.debug("%s: %s is tried next", self.address, self._choice.version.name)
                self._paho = None
            if at_once:
                continue
            if attempt.live:
                pause = self._options.reconnect_min
            refused = attempt.refuses_credentials
            self._put(ConnectionState.REFUSED if refused else ConnectionState.DISCONNECTED)
            # Jitter, so that a broker that comes back does not meet all its clients in one instant.
            wait = self._options.refused_pause if refused else pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self._closing.wait(wait)
            pause = min(pause * 2, self._options.reconnect_max)

    def _connect_and_serve(self) -> Attempt:
        """One connection from its start to its end."""
        attempt = self._attempt = self._choice.attempt()
        try:
            client = self._client_for()
            connect(client, self.address, self._options)
        except Exception as exc:  # noqa: BLE001 - told, and kept to this connection
            # Also a fault of paho, or of an auth provider's own code.
            logger.debug("%s: no connection\n%s", self.address, traceback.format_exc())
            self._report(_why_not_connected(exc))
            return attempt
        attempt.opened = True
        try:
            self._serve(client, attempt)
        except Exception as exc:  # noqa: BLE001 - told, and kept to this connection
            # Of paho or of this module: a fault costs this connection, and not all that would come after it.
            # Told as text: a record that kept the traceback would keep paho's client and its sockets open.
            logger.error("%s: the connection is lost by a fault\n%s", self.address, traceback.format_exc())  # noqa: TRY400 - see above
            self._report(f"connection lost by a fault: {exc!r}")
            self._paho = None
        return attempt

    def _serve(self, client: paho.Client, attempt: Attempt) -> None:
        """Run paho's network loop until the connection ends."""
        deadline = time.monotonic() + self._options.connect_timeout
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        while result == MQTTErrorCode.MQTT_ERR_SUCCESS:
            if self._inbox.is_abandoned:
                self._closing.set()
            if self._closing.is_set():
                end_session(client)
            elif not attempt.live and attempt.problem is None and time.monotonic() > deadline:
                self._report(f"no answer to {attempt.awaited} within {self._options.connect_timeout:g} s")
                attempt.silent = not attempt.answered
                client.disconnect()
            result = client.loop(timeout=0.1 if not attempt.live else 1.0)
        if self._closing.is_set():
            return
        if attempt.live:
            self._report("connection lost")
        elif attempt.problem is None and not (attempt.probe and attempt.accepted):
            self._report(f"the broker hung up without an answer to {attempt.awaited}")

    def _client_for(self) -> paho.Client:
        """The paho client of the current protocol, kept over reconnects so that its session lives on."""
        client = self._paho or self._new_client()
        credentials = self._options.credentials_for(self.address)
        if credentials is not None:
            client.username_pw_set(credentials.username, credentials.password.get_secret_value() or None)
        self._paho = client
        return client

    def _new_client(self) -> paho.Client:
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
            self._report(f"the broker refuses the connection: {reason}")
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
            self._report(f"the broker refuses the subscription to {', '.join(refused)}")
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
        except RuntimeError:  # the loop was closed without `close()`: there is nobody left to serve
            self._closing.set()

    def _report(self, problem: str) -> None:
        """Keep what is wrong, for whoever is told of the state; said aloud it would be said twice."""
        logger.debug("%s: %s", self.address, problem)
        self.problem = self._attempt.problem = problem


def _why_not_connected(exc: Exception) -> str:
    if isinstance(exc, ComputeClientError):
        return str(exc)
    if not isinstance(exc, OSError | ValueError):
        return f"cannot connect, by a fault: {exc!r}"
    problem = certificate_problem(exc)
    return f"cannot connect: {exc if problem is None else f'the certificate is not to be trusted: {problem}'}"
