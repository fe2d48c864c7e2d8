"""Outgoing MQTT messages: ordered, bounded, and kept until the broker has acknowledged them."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import NamedTuple


class OutgoingMessage(NamedTuple):
    """A message to publish.

    Attributes:
        topic: The MQTT topic.
        payload: The bytes to send.
        retain: Whether the broker keeps it for later subscribers.
        lasting: Whether no later message replaces it, such as the end of a job; dropped last.
    """

    topic: str
    payload: bytes
    retain: bool = False
    lasting: bool = False


class Outbox:
    """The messages that wait for a broker, and the sent ones that it has not acknowledged. Not thread-safe.

    Above the limit the oldest message that is not lasting is dropped; a lasting one only if all are lasting.
    While the broker is unreachable, only the newest retained message of each topic is kept, as a broker does.

    Args:
        limit: How many messages are kept at most.
        window: How many sent messages may be unacknowledged at once.
    """

    def __init__(self, limit: int, window: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._window = window
        self._online = False
        self._numbers = itertools.count()
        self._waiting: OrderedDict[int, OutgoingMessage] = OrderedDict()
        self._passing: OrderedDict[int, None] = OrderedDict()
        """The numbers of the messages in `_waiting` that are not lasting."""
        self._newest: dict[str, int] = {}
        """The number of the newest retained message of each topic; only used while offline."""
        self._sent: OrderedDict[int, tuple[int, OutgoingMessage]] = OrderedDict()
        """By packet id."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def put(self, message: OutgoingMessage) -> None:
        """Add a message, and drop others above the limit.

        Args:
            message: The message to send.
        """
        self._add(next(self._numbers), message)
        while len(self) > self._limit and self._waiting:
            self._drop_one()

    def go_online(self) -> None:
        """Note that the broker is connected: messages can be sent."""
        self._online = True
        self._newest.clear()

    def go_offline(self) -> None:
        """Note that the connection was lost: unacknowledged messages are sent again, before the others."""
        if not self._online:
            return
        self._online = False
        again = [*self._sent.values(), *self._waiting.items()]
        self._sent.clear()
        self._waiting.clear()
        self._passing.clear()
        for number, message in again:
            self._add(number, message)

    def next(self) -> OutgoingMessage | None:
        """Return the message to send now.

        Returns:
            The oldest waiting message; None if none waits, the window is full, or there is no connection.
        """
        if not self._online or len(self._sent) >= self._window or not self._waiting:
            return None
        return next(iter(self._waiting.values()))

    def sent(self, packet_id: int) -> None:
        """Note that the message from `next` was sent.

        Args:
            packet_id: The MQTT packet id it was sent with.
        """
        number, message = self._waiting.popitem(last=False)
        self._passing.pop(number, None)
        self._sent[packet_id] = (number, message)

    def acknowledged(self, packet_id: int) -> OutgoingMessage | None:
        """Note that the broker has acknowledged a message.

        Args:
            packet_id: The MQTT packet id of the acknowledgement.

        Returns:
            The message; None if the packet id is unknown.
        """
        _, message = self._sent.pop(packet_id, (0, None))
        return message

    def _add(self, number: int, message: OutgoingMessage) -> None:
        if message.retain and not self._online:
            self._remove(self._newest.get(message.topic))
            self._newest[message.topic] = number
        self._waiting[number] = message
        if not message.lasting:
            self._passing[number] = None

    def _remove(self, number: int | None) -> None:
        if number is not None:
            self._waiting.pop(number, None)
            self._passing.pop(number, None)

    def _drop_one(self) -> None:
        self._remove(next(iter(self._passing or self._waiting)))
        self.dropped += 1
