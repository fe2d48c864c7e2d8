"""The differences between the generations of CL Servers that a client can see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Generation: TypeAlias = Literal["A", "B", "C"]

UserClaim: TypeAlias = Literal["id", "sub"]
"""The token claim that holds the user's id: ``sub`` until the end of December 2025."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The wire format of one generation.

    Attributes:
        worker_key: The key of the worker id in its announcement.
        announces_progress: Whether a change of progress alone publishes an event.
        announces_failure: Whether a failed job publishes an event.
        heartbeat_seconds: Seconds between two announcements of a worker whose state does not change.
        guest_mode_path: URL path to read guest mode; it is set at ``/guest-mode`` below that. None if the
            generation has no guest mode.
        late_capabilities: Whether the first call of ``/capabilities`` after a start reports no workers.
        user_claim: The token claim that holds the user's id.
    """

    worker_key: Literal["id", "worker_id"]
    announces_progress: bool
    announces_failure: bool
    heartbeat_seconds: float
    guest_mode_path: str | None
    late_capabilities: bool = False
    user_claim: UserClaim = "id"


DIALECTS: dict[Generation, Dialect] = {
    "A": Dialect(
        worker_key="id",
        announces_progress=False,
        announces_failure=False,
        heartbeat_seconds=30.0,
        guest_mode_path=None,
        late_capabilities=True,
        user_claim="sub",
    ),
    "B": Dialect(
        worker_key="worker_id",
        announces_progress=True,
        announces_failure=True,
        heartbeat_seconds=10.0,
        guest_mode_path="/admin/config",
    ),
    "C": Dialect(
        worker_key="worker_id",
        announces_progress=True,
        announces_failure=True,
        heartbeat_seconds=10.0,
        guest_mode_path="/admin/pref",
    ),
}
