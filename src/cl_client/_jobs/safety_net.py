"""The safety net: jobs without news are read at growing intervals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cl_client._jobs.reader import ReadReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from cl_client._jobs.followed_job import FollowedJob
    from cl_client._jobs.push_health import PushHealth
    from cl_client.config import ComputeClientConfig

_GROWTH: Final = 1.6
_QUEUED_READS: Final = 20
"""Maximum reads per second of all queued jobs together, while push is live."""


class SafetyNet:
    """The timers of followed jobs. Requires a running loop.

    Args:
        config: Intervals.
        push: Whether MQTT events arrive; while they do, intervals are longer.
        jobs: All followed jobs.
        read: Called with a job whose read is due, and the reason.
    """

    def __init__(
        self,
        config: ComputeClientConfig,
        push: PushHealth,
        jobs: Sized,
        read: Callable[[FollowedJob, ReadReason], None],
    ) -> None:
        self._config = config
        self._push = push
        self._jobs = jobs
        self._read = read
        self._loop = asyncio.get_running_loop()

    def restart(self, followed: FollowedJob) -> None:
        """Restart the timer of a job, because there was news of it.

        Args:
            followed: The job.
        """
        followed.heard_at = self._loop.time()
        if followed.timer is not None:
            followed.timer.cancel()
        followed.timer = self._loop.call_at(self._due(followed), self._on_timer, followed)

    def _due(self, followed: FollowedJob) -> float:
        longest = self._longest_pause(followed)
        pause = min(followed.interval, longest)
        if self._push.is_live and not followed.runs and not followed.failures:
            # Only a running job can end without an event; thousands of queued jobs need no early read.
            pause = max(pause, min(self._config.poll_interval, longest), len(self._jobs) / _QUEUED_READS)
            pause = min(pause, followed.max_interval or pause)
        return max(followed.heard_at + pause, followed.not_before)

    def _longest_pause(self, followed: FollowedJob) -> float:
        # If reads fail, push has nothing more to report, or the server is unreachable.
        trusted = self._push.is_live and not followed.failures
        longest = self._config.poll_interval_push if trusted else self._config.poll_interval
        return min(longest, followed.max_interval or longest)

    def _on_timer(self, followed: FollowedJob) -> None:
        due = self._due(followed)
        if due > self._loop.time():
            followed.timer = self._loop.call_at(due, self._on_timer, followed)
            return
        followed.timer = None
        followed.interval = min(followed.interval * _GROWTH, self._longest_pause(followed))
        self._read(followed, ReadReason.ENDING if followed.ending else ReadReason.SAFETY_NET)
