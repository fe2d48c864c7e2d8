"""The differences between the generations of CL Servers that a client can see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

Generation: TypeAlias = Literal["A", "A1", "A2", "B", "C", "C2"]
"""The letters in order of time; docs/local-server.md has a table."""

UserClaim: TypeAlias = Literal["id", "sub"]
"""The token claim that holds the user's id: ``sub`` until the end of December 2025."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The wire format of one generation.

    Attributes:
        worker_key: The key of the worker id in its announcement.
        announces_progress: Whether a change of progress alone publishes an event.
        announces_failure: Whether a failed job publishes an event.
        heartbeat_seconds: Seconds between two announcements of a worker whose state does not change.
        guest_mode_path: URL path to read guest mode; it is set at ``/guest-mode`` below that. None if the
            generation has no guest mode.
        tells_auth_required: Whether ``GET /`` has ``auth_required``.
        late_capabilities: Whether the first call of ``/capabilities`` after a start reports no workers.
        user_claim: The token claim that holds the user's id.
        tasks_of_2025: Whether tasks run with `TaskSpec.function_a` and write to `TaskSpec.output_path_a`.
        path_tasks: The tasks that take a path on the server's disk in place of a file.
    """

    worker_key: Literal["id", "worker_id"]
    announces_progress: bool
    announces_failure: bool
    heartbeat_seconds: float
    guest_mode_path: str | None
    tells_auth_required: bool = False
    late_capabilities: bool = False
    user_claim: UserClaim = "id"
    tasks_of_2025: bool = False
    path_tasks: tuple[str, ...] = ()


_A: Final = Dialect(
    worker_key="id",
    announces_progress=False,
    announces_failure=False,
    heartbeat_seconds=30.0,
    guest_mode_path=None,
    late_capabilities=True,
    user_claim="sub",
    tasks_of_2025=True,
)
_C: Final = Dialect(
    worker_key="worker_id",
    announces_progress=True,
    announces_failure=True,
    heartbeat_seconds=10.0,
    guest_mode_path="/admin/pref",
)

DIALECTS: Final[dict[Generation, Dialect]] = {
    "A": _A,
    "A1": replace(_A, tells_auth_required=True, user_claim="id"),
    "A2": replace(_A, guest_mode_path="/admin/config", user_claim="id", tasks_of_2025=False),
    "B": replace(_C, guest_mode_path="/admin/config"),
    "C": _C,
    "C2": replace(_C, path_tasks=("hls_streaming",)),
}
