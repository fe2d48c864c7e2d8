"""`client.admin`: storage, cleanup and guest mode of a compute service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import AliasChoices, Field

from cl_client._core.lenient import OrElse
from cl_client._errors import InvalidParameterError
from cl_client._http.document import parse
from cl_client._http_errors import InvalidRequestError
from cl_client.models import ServerModel, Time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client._http.service import HTTPService

ResultT = TypeVar("ResultT")

_GUEST_MODE_PATHS: Final = ("/admin/pref", "/admin/config")
"""Paths of guest mode on servers from February 2026 and from January 2026; mixed versions are in use."""
_NOT_THERE: Final = frozenset({404, 405})


class StorageUsage(ServerModel):
    """The storage used by jobs.

    Attributes:
        total_size: Size of all files of all jobs in bytes.
        job_count: The number of jobs.
    """

    total_size: int
    job_count: int


class CleanupResult(ServerModel):
    """The result of a cleanup.

    Attributes:
        deleted_count: The number of deleted jobs.
        freed_space: Freed space in bytes.
    """

    deleted_count: int
    freed_space: Annotated[int, OrElse(0)] = 0


class GuestMode(ServerModel):
    """The guest mode: whether the server accepts requests without a token.

    Attributes:
        enabled: Whether guest mode is on.
        updated_at: Time of the last change in milliseconds since the epoch; None if never.
        updated_by: The user who made the last change, if the server gives it.
    """

    enabled: bool = Field(validation_alias=AliasChoices("guest_mode", "guestMode", "enabled"))
    updated_at: Time = None
    updated_by: Annotated[str | None, Field(coerce_numbers_to_str=True), OrElse(None)] = None


class AdminClient:
    """Administration of a server. Requires the token of an administrator unless guest mode is on.

    Every method raises `AuthenticationError` without a valid token, `PermissionDeniedError` without the
    rights of an administrator, and `RequestTimeoutError` after ``timeout``.
    """

    def __init__(self, http: Callable[[], HTTPService]) -> None:
        self._http = http
        self._guest_mode_path: str | None = None

    async def storage(self, *, timeout: float | None = None) -> StorageUsage:  # noqa: ASYNC109 - includes retries
        """Read how much storage the jobs use.

        Args:
            timeout: Timeout in seconds for the whole call including retries, above 0; None for no limit.

        Returns:
            The storage used.
        """
        http, path = self._http(), "/admin/jobs/storage/size"
        async with http.within(timeout, "Reading the storage usage", path):
            return await http.get(path, StorageUsage)

    async def cleanup(self, days: int = 7, *, timeout: float | None = None) -> CleanupResult:  # noqa: ASYNC109 - includes retries
        """Delete old jobs and their files.

        Args:
            days: Minimum age of the deleted jobs in days, 0 or more; 0 for all jobs.
            timeout: Timeout in seconds for the whole call including retries, above 0; None for no limit.
                After a timeout, jobs may have been deleted.

        Returns:
            The result of the cleanup.

        Raises:
            InvalidParameterError: ``days`` is below 0.
        """
        if days < 0:
            raise InvalidParameterError(f"days={days!r}: must be 0 or more")
        http, path = self._http(), "/admin/jobs/cleanup"
        async with http.within(timeout, "Deleting old jobs", path, "DELETE"):
            return parse(CleanupResult, await http.request("DELETE", path, params={"days": days}))

    async def guest_mode(self, *, timeout: float | None = None) -> GuestMode:  # noqa: ASYNC109 - includes retries
        """Read whether guest mode is on.

        Args:
            timeout: Timeout in seconds for the whole call including retries, above 0; None for no limit.

        Returns:
            The guest mode.

        Raises:
            InvalidRequestError: The server does not support guest mode; servers of 2025 do not.
        """
        http = self._http()
        async with http.within(timeout, "Reading the guest mode", self._paths()[0]):
            return await self._find(lambda path: http.get(path, GuestMode))

    async def set_guest_mode(self, enabled: bool, *, timeout: float | None = None) -> GuestMode:  # noqa: FBT001, ASYNC109 - the only argument; includes retries
        """Switch guest mode on or off.

        Args:
            enabled: True to accept requests without a token, False to require one.
            timeout: Timeout in seconds for the whole call including retries, above 0; None for no limit.

        Returns:
            The guest mode after the change, as the server reports it.

        Raises:
            InvalidRequestError: The server does not support guest mode; servers of 2025 do not.
        """
        http, form = self._http(), {"guest_mode": str(enabled).lower()}
        async with http.within(timeout, "Switching the guest mode", self._paths()[0], "PUT"):
            await self._find(lambda path: http.request("PUT", f"{path}/guest-mode", form=form))
            return await self._find(lambda path: http.get(path, GuestMode))

    async def _find(self, call: Callable[[str], Awaitable[ResultT]]) -> ResultT:
        """Call with the path that this server uses for guest mode, and remember it."""
        paths = self._paths()
        for path in paths:
            try:
                answer = await call(path)
            except InvalidRequestError as exc:
                if exc.status_code not in _NOT_THERE:
                    raise
                if path == paths[-1]:
                    message = f"This server does not support guest mode ({exc})"
                    raise InvalidRequestError(message, response=exc.response, detail=exc.detail) from None
            else:
                self._guest_mode_path = path
                return answer
        raise AssertionError  # the last path either returns or raises

    def _paths(self) -> tuple[str, ...]:
        known = self._guest_mode_path
        return _GUEST_MODE_PATHS if known is None else (known, *(p for p in _GUEST_MODE_PATHS if p != known))
