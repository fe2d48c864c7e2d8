"""Whether a broker that has granted the subscription to job events also delivers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.mqtt")

SILENT_JOBS: Final = 3
"""So many jobs in a row without any event are no accident: every server announces at least a job's start."""
_GRACE: Final = 1.0
"""Seconds by which a busy broker, or a busy loop, may be behind HTTP."""


class PushHealth:
    """Tells push that works from push that is only connected.

    A broker may grant a subscription and then keep back what it covers, as Mosquitto does where its
    ``acl_file`` allows no reading; or the server publishes elsewhere. What gives it away is jobs that end
    without a single event, although push was there before they were.

    Args:
        config: The broker and the topic, for the log.
        on_silent: Called when push turns out to deliver nothing: whoever relies on it must no longer.

    Attributes:
        connected: Whether the broker has granted the subscription, at present.
    """

    def __init__(self, config: ComputeClientConfig, on_silent: Callable[[], None]) -> None:
        self.connected = False
        self._config = config
        self._on_silent = on_silent
        self._silent_jobs = 0

    @property
    def is_silent(self) -> bool:
        """Whether nothing is expected of push, although it may be connected."""
        return self._silent_jobs >= SILENT_JOBS

    @property
    def is_live(self) -> bool:
        """Whether events arrive at present, as far as can be known."""
        return self.connected and self._silent_jobs < SILENT_JOBS

    def event_seen(self) -> None:
        """An event arrived, of whatever job."""
        if self.is_silent:
            logger.info("MQTT events arrive again: jobs are followed by push")
        self._silent_jobs = 0

    def ended_without_event(self, seconds: float) -> None:
        """A job ended that had no event, for so many seconds since its submit and with push all the time."""
        if self.is_silent or seconds < _GRACE:
            return
        self._silent_jobs += 1
        if self.is_silent:
            topic = self._config.events_topic
            logger.warning(
                "MQTT is connected to %s, but %d jobs in a row ended without an event: jobs are followed "
                "over HTTP until one arrives. Let this client read the topic %s (with an acl_file of "
                "Mosquitto: 'topic read %s'), and check that the server publishes there, to this broker",
                self._config.mqtt_address,
                SILENT_JOBS,
                topic,
                topic,
            )
            self._on_silent()
