"""The way from the network's thread to the event loop: bounded, and one wake-up for all that has gathered."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from cl_client._mqtt.types import ConnectionState, MQTTMessage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

News: TypeAlias = MQTTMessage | ConnectionState
"""A message, or a change of state."""


class Inbox:
    """What a thread has learnt and the loop has not taken yet.

    Only messages are bounded: a state that was lost could not be made good.

    Args:
        on_news: Called on the loop when there is something to take.
        limit: Pieces of news above which messages are dropped.
    """

    def __init__(self, on_news: Callable[[], None], limit: int) -> None:
        self.dropped = 0
        self._on_news = on_news
        self._limit = limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._news: deque[News] = deque()
        self._overflowed = False
        self._wake_pending = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop that takes the news."""
        self._loop = loop

    @property
    def is_abandoned(self) -> bool:
        """Whether the loop was closed, so that nobody will ever take anything."""
        return self._loop is not None and self._loop.is_closed()

    def put(self, news: News) -> None:
        """Leave something for the loop; called in the thread.

        Raises:
            RuntimeError: The loop is closed.
        """
        with self._lock:
            if isinstance(news, MQTTMessage) and len(self._news) >= self._limit:
                self.dropped += 1
                self._overflowed = True
            else:
                self._news.append(news)
            wake, self._wake_pending = not self._wake_pending, True
        if wake:
            self.call(self._on_news)

    def take(self) -> tuple[list[News], bool]:
        """All that has gathered, and whether messages were dropped meanwhile; called on the loop."""
        with self._lock:
            news = list(self._news)
            self._news.clear()
            self._wake_pending = False
            overflowed, self._overflowed = self._overflowed, False
        return news, overflowed

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop call a function; called in the thread.

        Raises:
            RuntimeError: The loop is closed.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function)
