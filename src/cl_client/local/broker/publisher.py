"""Publishes the messages of a local server: paho in its own thread, and a bounded outbox.

A message leaves the outbox when the broker has acknowledged it. So each connection starts with a new paho
client and needs no session; a message may be sent twice, as QoS 1 allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import threading
import time
import traceback
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from paho.mqtt.enums import MQTTErrorCode

from cl_client._mqtt.paho_client import connect, new_client
from cl_client._mqtt.protocol_choice import Attempt, ProtocolChoice
from cl_client._mqtt.types import ConnectionOptions
from cl_client.exceptions import ComputeClientError
from cl_client.local.broker.outbox import Outbox, OutgoingMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    import paho.mqtt.client as paho
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from cl_client._mqtt.address import BrokerAddress
    from cl_client._mqtt.batch_client import BatchClient

logger = logging.getLogger(__name__)

QOS: Final = 1
OUTBOX_LIMIT: Final = 10_000
"""Messages of about 200 bytes each: 2 MB while the broker is unreachable."""
WINDOW: Final = 20
"""The usual default of brokers, and of paho, for unacknowledged messages."""
FLUSH_SECONDS: Final = 5.0
_GOODBYE_SECONDS: Final = 2.0
_ECHO_TOPIC: Final = "cl_client/last_word"


class Publisher:
    """Publishes in order with QoS 1, and reconnects until it is closed.

    Use it on the event loop on which it is started; only `publish` is thread-safe.

    Args:
        address: The address of the broker.
        options: Timeouts and credentials.
        limit: How many messages are kept while the broker does not accept them; see `Outbox` for which ones.
        wait_for_echo: For a broker that stops after `close`. It acknowledges a message before it delivers it,
            but delivers in order: when a final message has come back, the others have been delivered.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        options: ConnectionOptions | None = None,
        limit: int = OUTBOX_LIMIT,
        wait_for_echo: bool = False,
    ) -> None:
        self.address = address
        self.problem: str | None = None
        self._trouble: str | None = None  # the problem since the last connection
        self._options = replace(options or ConnectionOptions(), session_expiry=0)
        self._wait_for_echo = wait_for_echo
        self._client_id = f"cl_client-{secrets.token_hex(8)}"
        self._choice = ProtocolChoice()
        self._attempt = self._choice.attempt()
        self._closing = threading.Event()
        self._echoed = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-publisher-{address.host}", daemon=True)
        # paho calls back while it holds its own locks, which `publish` needs as well: so callbacks never take
        # this one. Their results are processed when paho's loop has returned.
        self._lock = threading.Lock()
        self._acknowledged: deque[tuple[int, ReasonCode]] = deque()
        self._outbox = Outbox(limit, WINDOW)
        self._live: paho.Client | None = None
        self._told_of_drops = self._told_of_refusal = self._told_of_rest = False
        self._will_send = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._waiters = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection that accepts messages."""
        return self._live is not None

    @property
    def waiting(self) -> int:
        """How many messages the broker has not acknowledged yet."""
        return len(self._outbox)

    @property
    def dropped(self) -> int:
        """How many messages were dropped because the broker did not accept them for too long."""
        return self._outbox.dropped

    def start(self) -> None:
        """Start to connect, and return at once. Call it once, on a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, lasting: bool = False) -> None:
        """Send a message, or keep it until there is a connection. Returns at once.

        Args:
            topic: The MQTT topic.
            payload: The bytes to send.
            retain: Whether the broker keeps it for later subscribers.
            lasting: Whether it is dropped last when there are too many messages.
        """
        with self._lock:
            before = self._outbox.dropped
            self._outbox.put(OutgoingMessage(topic, payload, retain, lasting))
            first_drop = self._outbox.dropped > before and not self._told_of_drops
            self._told_of_drops |= first_drop
            send_later = self._loop is not None and not self._will_send
            self._will_send |= send_later
        if send_later and self._loop is not None:
            # What is published in one turn of the loop wakes the thread, and passes through the broker, once.
            with contextlib.suppress(RuntimeError):  # the loop is closed
                call = self._loop.call_soon if self._is_on_loop() else self._loop.call_soon_threadsafe
                call(self._send_all)
        if first_drop:
            logger.warning(
                "%s does not accept messages as fast as they are published: dropping the oldest ones, "
                "the final events of jobs last",
                self.address,
            )

    def _is_on_loop(self) -> bool:
        with contextlib.suppress(RuntimeError):
            return asyncio.get_running_loop() is self._loop
        return False

    def _send_all(self) -> None:
        with self._lock:
            self._will_send = False
            self._send()

    async def wait_connected(self, timeout: float) -> bool:  # noqa: ASYNC109 - part of the interface
        """Wait until the broker is connected.

        Args:
            timeout: Seconds.

        Returns:
            False if there was no connection in time.
        """
        return await self._until(lambda: self.connected, timeout)

    async def flush(self, timeout: float = FLUSH_SECONDS) -> bool:  # noqa: ASYNC109 - part of the interface
        """Wait until the broker has acknowledged all messages.

        Args:
            timeout: Seconds.

        Returns:
            False if it did not do so in time.
        """
        return await self._until(lambda: not self.waiting, timeout)

    async def close(self, timeout: float = FLUSH_SECONDS) -> None:  # noqa: ASYNC109 - part of the interface
        """Send the waiting messages, if there is a connection, and disconnect. Idempotent.

        Args:
            timeout: Seconds to send the messages; closing the connection may take as long as opening one.
        """
        if self.connected:
            await self.flush(timeout)
            if self._wait_for_echo:
                self.publish(_ECHO_TOPIC, b"", lasting=True)
                await self._until(lambda: self._echoed.is_set() and not self.waiting, timeout)
        self._closing.set()
        with self._lock:
            if self._live is not None:
                self._live.disconnect()  # wakes the thread
        # A thread in a DNS lookup may take longer; it ends by itself.
        longest = self._options.connect_timeout + _GOODBYE_SECONDS
        if self._thread.is_alive() and await self._until(self._ended.is_set, longest):
            self._thread.join()
        if self.waiting and not self._told_of_rest:
            self._told_of_rest = True
            why = self._trouble or "the broker did not acknowledge them"
            logger.warning("%s: closed before %d messages were sent (%s)", self.address, self.waiting, why)

    async def _until(self, condition: Callable[[], bool], timeout: float) -> bool:  # noqa: ASYNC109 - see above
        # Not in a thread: none can be started while a script ends that never stopped its server.
        self._waiters += 1
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            logger.debug("%s: timed out after %g s", self.address, timeout)
        finally:
            self._waiters -= 1
        return condition()

    def _wake_waiters(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _send(self) -> None:
        """Pass on the messages that the broker may have now. Call it with the lock held.

        paho only queues here: its thread writes, see `new_client`.
        """
        while self._live is not None and (message := self._outbox.next()) is not None:
            self._outbox.sent(self._live.publish(message.topic, message.payload, QOS, message.retain).mid)

    # The thread.

    def _run(self) -> None:
        try:
            self._keep_connected()
        finally:
            self._ended.set()
            self._tell_waiters()

    def _keep_connected(self) -> None:
        """Connect, serve, pause, again, until closing."""
        pause = self._options.reconnect_min
        while not self._closing.is_set():
            attempt = self._attempt = self._choice.attempt()
            self._connect_and_serve(attempt)
            if self._choice.take_in(attempt):
                continue
            if attempt.live:
                pause = self._options.reconnect_min
            # Jitter, so that not all clients reconnect at the same moment when the broker is back.
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self._closing.wait(self._options.refused_pause if attempt.refuses_credentials else wait)
            pause = min(pause * 2, self._options.reconnect_max)

    def _connect_and_serve(self, attempt: Attempt) -> None:
        """Run one connection from start to end."""
        try:
            client = self._new_client(attempt)
            connect(client, self.address, self._options)
            attempt.opened = True
            self._serve(client, attempt)
        except (OSError, ValueError, ComputeClientError) as exc:
            self._report(str(exc) or type(exc).__name__)
        except Exception as exc:  # noqa: BLE001 - an error of paho or of this module ends one connection only
            state = "connection lost" if attempt.opened else "cannot connect"
            # As text: a log record with the traceback would keep paho's client and its sockets open.
            logger.error("%s: %s, unexpected error\n%s", self.address, state, traceback.format_exc())  # noqa: TRY400 - see above
            self._report(f"{state}, unexpected error: {exc!r}")
        with self._lock:
            self._live = None
            self._take_in_acknowledgements()
            self._outbox.go_offline()
        if attempt.live and not self._closing.is_set():
            logger.warning("%s: %s; events are kept until it connects again", self.address, self.problem)
        self._tell_waiters()

    def _serve(self, client: BatchClient, attempt: Attempt) -> None:
        """Run paho's network loop until the connection ends."""
        deadline = time.monotonic() + self._options.connect_timeout
        goodbye_deadline: float | None = None
        while client.turn(1.0 if attempt.live else 0.1) == MQTTErrorCode.MQTT_ERR_SUCCESS:
            now = time.monotonic()
            if self._closing.is_set():
                goodbye_deadline = goodbye_deadline or now + _GOODBYE_SECONDS
                client.disconnect()
                if now > goodbye_deadline:
                    return
            elif attempt.live:
                self._take_in(client)
            elif now > deadline:
                self._report(f"{attempt.awaited} timed out after {self._options.connect_timeout:g} s")
                attempt.silent = not attempt.answered
                return
        if not (self._closing.is_set() or attempt.problem or (attempt.probe and attempt.accepted)):
            closed = f"the broker closed the connection without answering {attempt.awaited}"
            self._report("connection lost" if attempt.live else closed)

    def _take_in(self, client: paho.Client) -> None:
        """Process the broker's acknowledgements, and send the messages that it may have now."""
        trouble = None
        with self._lock:
            if self._live is None:
                self._live = client
                self._outbox.go_online()
                self._told_of_drops = False
                trouble, self._trouble = self._trouble, None
            self._take_in_acknowledgements()
            self._send()
        if trouble is not None:
            logger.info("%s: connected; before: %s", self.address, trouble)
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        if self._waiters and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed without `close`
                self._loop.call_soon_threadsafe(self._wake_waiters)

    def _take_in_acknowledgements(self) -> None:
        while self._acknowledged:
            packet_id, reason = self._acknowledged.popleft()
            message = self._outbox.acknowledged(packet_id)
            if reason.is_failure and message is not None and not self._told_of_refusal:
                self._told_of_refusal = True
                logger.warning("%s refuses messages on %s: %s", self.address, message.topic, reason)

    def _new_client(self, attempt: Attempt) -> BatchClient:
        client = new_client(self._client_id, attempt.version, self.address, self._options)
        credentials = self._options.credentials_for(self.address)
        if credentials is not None:
            client.username_pw_set(credentials.username, credentials.password.get_secret_value() or None)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _report(self, problem: str) -> None:
        logger.debug("%s: %s", self.address, problem)
        self.problem = self._trouble = self._attempt.problem = problem

    # paho's callbacks.

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
        elif self._wait_for_echo:
            client.subscribe(_ECHO_TOPIC, QOS)
        else:
            self._attempt.live = True

    def _on_subscribe(self, *_: object) -> None:
        self._attempt.live = True

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic == _ECHO_TOPIC:  # the embedded broker also sends messages without a subscription
            self._echoed.set()

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        packet_id: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._acknowledged.append((packet_id, reason))
