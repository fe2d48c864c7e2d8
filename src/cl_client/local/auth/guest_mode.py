"""Guest mode: the switch that opens the compute routes to everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cl_client.local.clock import now_ms

if TYPE_CHECKING:
    from cl_client.models import JSONObject


@dataclass(slots=True)
class GuestMode:
    """Whether everything is open to everybody; the servers' default since early January 2026."""

    enabled: bool = True
    updated_at: int | None = None
    updated_by: str | None = None

    def set(self, *, enabled: bool, user_id: str | None) -> None:
        """Switch it, and note when and by whom; None for a guest."""
        self.enabled = enabled
        self.updated_at = now_ms()
        self.updated_by = user_id

    def as_json(self) -> JSONObject:
        """As the wire shows it."""
        return {"guest_mode": self.enabled, "updated_at": self.updated_at, "updated_by": self.updated_by}
