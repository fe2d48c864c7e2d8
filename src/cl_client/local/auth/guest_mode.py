"""Guest mode: the switch that opens the compute routes to requests without a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cl_client.local.clock import now_ms

if TYPE_CHECKING:
    from cl_client.models import JSONObject


@dataclass(slots=True)
class GuestMode:
    """The state of guest mode, in which no token is needed; the servers' default since early January 2026."""

    enabled: bool = True
    updated_at: int | None = None
    updated_by: str | None = None

    def set(self, *, enabled: bool, user_id: str | None) -> None:
        """Switch guest mode, and record the time and the user.

        Args:
            enabled: Whether guest mode is on.
            user_id: The user who switches it; None for a guest.
        """
        self.enabled = enabled
        self.updated_at = now_ms()
        self.updated_by = user_id

    def as_json(self) -> JSONObject:
        """Convert to the format of the wire.

        Returns:
            ``guest_mode``, ``updated_at`` in milliseconds since the Unix epoch, and ``updated_by``.
        """
        return {"guest_mode": self.enabled, "updated_at": self.updated_at, "updated_by": self.updated_by}
