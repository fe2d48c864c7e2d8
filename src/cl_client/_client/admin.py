"""`client.admin`: storage, cleanup and guest mode of a compute service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AliasChoices, Field

from cl_client._core.lenient import OrElse
from cl_client._errors import InvalidParameterError, InvalidRequestError
from cl_client._http.service import parse
from cl_client.models import ServerModel, Time

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._http.service import HTTPService

_GUEST_MODE_PATHS: Final = ("/admin/pref", "/admin/config")
"""Where guest mode is, on servers from February 2026 and from January 2026; mixtures are in the field."""
_NOT_THERE: Final = frozenset({404, 405})


class StorageUsage(ServerModel):
    """What a server stores.

    Attributes:
        total_size: Bytes of all files of all jobs.
        job_count: How many jobs there are.
    """

    total_size: int
    job_count: int


class CleanupResult(ServerModel):
    """What a cleanup removed.

    Attributes:
        deleted_count: How many jobs.
        freed_space: Bytes.
    """

    deleted_count: int
    freed_space: Annotated[int, OrElse(0)] = 0


class GuestMode(ServerModel):
    """Whether everything is open to everybody.

    Attributes:
        enabled: Whether it is on.
        updated_at: When it was switched, in milliseconds since the epoch; None if never.
        updated_by: Who switched it, where the server says so.
    """

    enabled: bool = Field(validation_alias=AliasChoices("guest_mode", "guestMode", "enabled"))
    updated_at: Time = None
    updated_by: Annotated[str | None, Field(coerce_numbers_to_str=True), OrElse(None)] = None


class AdminClient:
    """What an administrator can do; needs an admin's token unless the server is in guest mode.

    Every method raises `AuthenticationError` without a token, and `PermissionDeniedError` with one that is
    not an admin's.
    """

    def __init__(self, http: Callable[[], HTTPService]) -> None:
        self._http = http
        self._guest_mode_path: str | None = None

    async def storage(self) -> StorageUsage:
        """How much is stored."""
        return parse(StorageUsage, await self._http().request("GET", "/admin/jobs/storage/size"))

    async def cleanup(self, days: int = 7) -> CleanupResult:
        """Delete the jobs that are older than so many days, with their files.

        Args:
            days: 0 or more, default 7; 0 for all jobs.

        Raises:
            InvalidParameterError: ``days`` is below 0.
        """
        if days < 0:
            raise InvalidParameterError(f"days={days!r}: must be 0 or more")
        answer = await self._http().request("DELETE", "/admin/jobs/cleanup", params={"days": days})
        return parse(CleanupResult, answer)

    async def guest_mode(self) -> GuestMode:
        """Whether everything is open to everybody.

        Raises:
            InvalidRequestError: The server has no such switch; those of 2025 do not.
        """
        for path in self._paths():
            try:
                answer = await self._http().request("GET", path)
            except InvalidRequestError as exc:
                self._check_elsewhere(path, exc)
            else:
                self._guest_mode_path = path
                return parse(GuestMode, answer)
        raise AssertionError  # the last path either answers or raises

    async def set_guest_mode(self, enabled: bool) -> GuestMode:  # noqa: FBT001 - the one thing that is said
        """Open everything to everybody, or demand tokens.

        Returns:
            What the server says it is then.

        Raises:
            InvalidRequestError: The server has no such switch; those of 2025 do not.
        """
        for path in self._paths():
            try:
                await self._http().request(
                    "PUT", f"{path}/guest-mode", form={"guest_mode": str(enabled).lower()}
                )
            except InvalidRequestError as exc:
                self._check_elsewhere(path, exc)
            else:
                break
        return await self.guest_mode()

    def _paths(self) -> tuple[str, ...]:
        known = self._guest_mode_path
        return _GUEST_MODE_PATHS if known is None else (known, *(p for p in _GUEST_MODE_PATHS if p != known))

    def _check_elsewhere(self, path: str, error: InvalidRequestError) -> None:
        """Raise unless the switch may be at another path."""
        if error.status_code not in _NOT_THERE:
            raise error
        if path == self._paths()[-1]:
            message = f"This server has no guest mode to switch ({error})"
            raise InvalidRequestError(message, response=error.response, detail=error.detail) from None
