"""`client.admin`: storage, cleanup and guest mode of a compute service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import AliasChoices, Field

from cl_client._core.lenient import OrElse
from cl_client._errors import InvalidParameterError, InvalidRequestError
from cl_client._http.document import parse
from cl_client.models import ServerModel, Time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client._http.service import HTTPService

ResultT = TypeVar("ResultT")

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
    not an admin's. Every ``timeout`` is in seconds and for the whole call, retries included; it is above 0,
    or None for no limit, and ends in `RequestTimeoutError`.
    """

    def __init__(self, http: Callable[[], HTTPService]) -> None:
        self._http = http
        self._guest_mode_path: str | None = None

    async def storage(self, *, timeout: float | None = None) -> StorageUsage:  # noqa: ASYNC109 - retries and all
        """How much is stored."""
        http, path = self._http(), "/admin/jobs/storage/size"
        async with http.within(timeout, "Reading what is stored", path):
            return await http.get(path, StorageUsage)

    async def cleanup(self, days: int = 7, *, timeout: float | None = None) -> CleanupResult:  # noqa: ASYNC109 - retries and all
        """Delete the jobs that are older than so many days, with their files.

        Args:
            days: 0 or more, default 7; 0 for all jobs.
            timeout: See the class; jobs may have been deleted when the time is up.

        Raises:
            InvalidParameterError: ``days`` is below 0.
        """
        if days < 0:
            raise InvalidParameterError(f"days={days!r}: must be 0 or more")
        http, path = self._http(), "/admin/jobs/cleanup"
        async with http.within(timeout, "Deleting old jobs", path, "DELETE"):
            return parse(CleanupResult, await http.request("DELETE", path, params={"days": days}))

    async def guest_mode(self, *, timeout: float | None = None) -> GuestMode:  # noqa: ASYNC109 - retries and all
        """Whether everything is open to everybody.

        Raises:
            InvalidRequestError: The server has no such switch; those of 2025 do not.
        """
        http = self._http()
        async with http.within(timeout, "Reading the guest mode", self._paths()[0]):
            return await self._find(lambda path: http.get(path, GuestMode))

    async def set_guest_mode(self, enabled: bool, *, timeout: float | None = None) -> GuestMode:  # noqa: FBT001, ASYNC109 - the one thing that is said; retries and all
        """Open everything to everybody, or demand tokens.

        Returns:
            What the server says it is then.

        Raises:
            InvalidRequestError: The server has no such switch; those of 2025 do not.
        """
        http, form = self._http(), {"guest_mode": str(enabled).lower()}
        async with http.within(timeout, "Switching the guest mode", self._paths()[0], "PUT"):
            await self._find(lambda path: http.request("PUT", f"{path}/guest-mode", form=form))
            return await self._find(lambda path: http.get(path, GuestMode))

    async def _find(self, call: Callable[[str], Awaitable[ResultT]]) -> ResultT:
        """Call with the path at which this server has its switch, which is kept."""
        paths = self._paths()
        for path in paths:
            try:
                answer = await call(path)
            except InvalidRequestError as exc:
                if exc.status_code not in _NOT_THERE:
                    raise
                if path == paths[-1]:
                    message = f"This server has no guest mode to switch ({exc})"
                    raise InvalidRequestError(message, response=exc.response, detail=exc.detail) from None
            else:
                self._guest_mode_path = path
                return answer
        raise AssertionError  # the last path either answers or raises

    def _paths(self) -> tuple[str, ...]:
        known = self._guest_mode_path
        return _GUEST_MODE_PATHS if known is None else (known, *(p for p in _GUEST_MODE_PATHS if p != known))
