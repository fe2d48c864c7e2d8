"""What differs between the generations of CL Servers, as far as a client can see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Generation: TypeAlias = Literal["A", "B", "C"]

UserClaim: TypeAlias = Literal["id", "sub"]
"""The claim of a token that holds the user's id: ``sub`` until the end of December 2025."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one generation speaks.

    Attributes:
        worker_key: The key of the worker's name in its announcement.
        announces_progress: Whether a change of progress alone publishes an event.
        announces_failure: Whether a failing job publishes an event.
        heartbeat_seconds: Pause between two announcements of a worker that has nothing new to say.
        guest_mode_path: Where guest mode is read and, below it at ``/guest-mode``, set; None where there
            is no guest mode.
        late_capabilities: The first call of ``/capabilities`` after a start answers that nobody is there.
        user_claim: The claim of a token that holds the user's id.
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
