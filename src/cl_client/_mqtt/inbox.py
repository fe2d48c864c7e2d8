"""The bounded queue from the MQTT thread to the event loop, with one wake-up for all waiting items."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from cl_client._mqtt.types import ConnectionState, MQTTMessage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

News: TypeAlias = MQTTMessage | ConnectionState
"""A message, or a new state of the connection."""


class Inbox:
    """Messages and states from the thread that the event loop has not processed yet.

    Only messages are dropped at the limit: a lost state could not be recovered.

    Args:
        on_news: Called on the event loop when there are items to take.
        limit: Number of items above which messages are dropped.
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
        """Set the event loop that takes the items.

        Args:
            loop: The event loop on which ``on_news`` is called.
        """
        self._loop = loop

    @property
    def is_abandoned(self) -> bool:
        """Whether the event loop was closed, so that nothing takes the items any more."""
        return self._loop is not None and self._loop.is_closed()

    def put(self, news: News) -> None:
        """Add an item; called in the thread.

        Args:
            news: A message, which is dropped above the limit, or a state.

        Raises:
            RuntimeError: The event loop is closed.
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
        """Take all items; called on the event loop.

        Returns:
            The items in order, and whether messages were dropped since the last call.
        """
        with self._lock:
            news = list(self._news)
            self._news.clear()
            self._wake_pending = False
            overflowed, self._overflowed = self._overflowed, False
        return news, overflowed

    def call(self, function: Callable[[], None]) -> None:
        """Call a function on the event loop; called in the thread.

        Args:
            function: The function to call.

        Raises:
            RuntimeError: The event loop is closed.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function)
