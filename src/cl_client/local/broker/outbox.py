"""Messages on their way to a broker: in order, bounded, and kept until the broker has acknowledged them."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import NamedTuple


class OutgoingMessage(NamedTuple):
    """A message to publish.

    Attributes:
        topic: Where to.
        payload: What.
        retain: Whether the broker keeps it for those who subscribe later.
        lasting: Whether it says what nothing later will say again, such as the end of a job.
    """

    topic: str
    payload: bytes
    retain: bool = False
    lasting: bool = False


class Outbox:
    """What waits for a broker, and what it was sent but has not acknowledged yet. For one thread at a time.

    Above the limit the oldest message goes that is not lasting; a lasting one only where all of them are.
    While the broker is away only the newest retained message of a topic is kept, as the broker would do.

    Args:
        limit: How many messages are kept.
        window: How many of them may be unacknowledged at once.
    """

    def __init__(self, limit: int, window: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._window = window
        self._online = False
        self._numbers = itertools.count()
        self._waiting: OrderedDict[int, OutgoingMessage] = OrderedDict()
        self._passing: OrderedDict[int, None] = OrderedDict()
        """The numbers of those in `_waiting` that are not lasting."""
        self._newest: dict[str, int] = {}
        """The number of the last retained message of each topic; kept while offline only."""
        self._sent: OrderedDict[int, tuple[int, OutgoingMessage]] = OrderedDict()
        """By packet id."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def put(self, message: OutgoingMessage) -> None:
        """Add a message, at the cost of others where there are too many."""
        self._add(next(self._numbers), message)
        while len(self) > self._limit and self._waiting:
            self._drop_one()

    def go_online(self) -> None:
        """There is a connection: messages can be sent."""
        self._online = True
        self._newest.clear()

    def go_offline(self) -> None:
        """The connection is lost: what was not acknowledged on it is to be sent again, before the rest."""
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
        """What to send now; None where nothing waits, or the broker has enough to acknowledge."""
        if not self._online or len(self._sent) >= self._window or not self._waiting:
            return None
        return next(iter(self._waiting.values()))

    def sent(self, packet_id: int) -> None:
        """What `next` has named was sent."""
        number, message = self._waiting.popitem(last=False)
        self._passing.pop(number, None)
        self._sent[packet_id] = (number, message)

    def acknowledged(self, packet_id: int) -> OutgoingMessage | None:
        """The broker has taken a message over; which one."""
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
