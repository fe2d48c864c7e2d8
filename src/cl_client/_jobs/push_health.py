"""Check whether a broker that granted the subscription to job events also delivers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.mqtt")

SILENT_JOBS: Final = 3
"""With so many jobs in a row without an event, push is broken: every server publishes at least the start."""
_GRACE: Final = 1.0
"""Seconds by which events may lag behind HTTP on a busy broker or event loop."""


class PushHealth:
    """Detects push that is connected but delivers no events.

    A broker may grant a subscription and then withhold its messages, as Mosquitto does if its ``acl_file``
    allows no reading; or the server publishes to another topic or broker. Both show in jobs that end without
    a single event, although push was connected before they were submitted.

    Args:
        config: The broker and the topic, for the log.
        on_silent: Called when push turns out to deliver nothing, and jobs must be polled.

    Attributes:
        connected: Whether the broker currently grants the subscription.
    """

    def __init__(self, config: ComputeClientConfig, on_silent: Callable[[], None]) -> None:
        self.connected = False
        self._config = config
        self._on_silent = on_silent
        self._silent_jobs = 0

    @property
    def is_silent(self) -> bool:
        """Whether push delivers no events, although it may be connected."""
        return self._silent_jobs >= SILENT_JOBS

    @property
    def is_live(self) -> bool:
        """Whether push is connected and not known to be silent."""
        return self.connected and self._silent_jobs < SILENT_JOBS

    def event_seen(self) -> None:
        """Note that an event of any job arrived."""
        if self.is_silent:
            logger.info("MQTT events arrive again: jobs are followed by push")
        self._silent_jobs = 0

    def ended_without_event(self, seconds: float) -> None:
        """Note that a job ended without an event, although push was connected all the time.

        Args:
            seconds: Time since its submit.
        """
        if self.is_silent or seconds < _GRACE:
            return
        self._silent_jobs += 1
        if self.is_silent:
            topic = self._config.events_topic
            logger.warning(
                "MQTT is connected to %s, but %d jobs in a row ended without an event: jobs are followed "
                "over HTTP until an event arrives. Allow this client to read the topic %s (acl_file of "
                "Mosquitto: 'topic read %s'), and check that the server publishes to it on this broker",
                self._config.mqtt_address,
                SILENT_JOBS,
                topic,
                topic,
            )
            self._on_silent()
