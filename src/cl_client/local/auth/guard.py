"""Access to the compute routes: open in guest mode, otherwise with a valid token that has the permission."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from cl_client.local.auth.bearer import bearer_token

if TYPE_CHECKING:
    from starlette.requests import Request

    from cl_client.local.auth.guest_mode import GuestMode
    from cl_client.local.auth.tokens import Claims, TokenAuthority

JOB_PERMISSION: Final = "ai_inference_support"


class Guard:
    """Checks the tokens of the compute routes. The methods do not read the body.

    Args:
        tokens: Checks the tokens; None if there is no auth service, and every request is allowed.
        guest_mode: While it is on, every request is allowed and tokens are ignored.
    """

    def __init__(self, tokens: TokenAuthority | None, guest_mode: GuestMode) -> None:
        self._tokens = tokens
        self.guest_mode = guest_mode

    async def job_user(self, request: Request) -> Claims | None:
        """Allow a request that works with jobs.

        Args:
            request: The request.

        Returns:
            The claims of the token; None if tokens are not checked.

        Raises:
            HTTPException: 401 without a valid token, 403 without the permission.
        """
        return _with_job_permission(self._claims(request))

    async def named_job_user(self, request: Request) -> Claims | None:
        """Allow a request of a user who may work with jobs, but of no guest, also while guest mode is on.

        Args:
            request: The request.

        Returns:
            The claims of the token; None if there is no auth service.

        Raises:
            HTTPException: 401 without a valid token, 403 without the permission.
        """
        return _with_job_permission(self._claims(request, guests=False))

    async def admin(self, request: Request) -> Claims | None:
        """Allow a request that administers the server.

        Args:
            request: The request.

        Returns:
            The claims of the token; None if tokens are not checked.

        Raises:
            HTTPException: 401 without a valid token, 403 if the user is not an admin.
        """
        claims = self._claims(request)
        if claims is not None and not claims.is_admin:
            raise HTTPException(HTTPStatus.FORBIDDEN, "Insufficient permissions. Admin access required")
        return claims

    def _claims(self, request: Request, *, guests: bool = True) -> Claims | None:
        if self._tokens is None or (guests and self.guest_mode.enabled):
            return None
        from cl_client.local.auth.tokens import ExpiredTokenError, InvalidTokenError

        token = bearer_token(request)
        if token is None:
            raise _unauthorized("Authentication required")
        try:
            return self._tokens.check(token)
        except ExpiredTokenError:
            raise _unauthorized("JWT token has expired") from None
        except InvalidTokenError:
            raise _unauthorized("Could not validate credentials") from None


def _with_job_permission(claims: Claims | None) -> Claims | None:
    if claims is not None and not claims.is_admin and JOB_PERMISSION not in claims.permissions:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"Insufficient permissions. Required: {JOB_PERMISSION}")
    return claims


def _unauthorized(detail: str) -> HTTPException:
    """Make the 401 of compute services, which omit ``WWW-Authenticate``; auth services send it."""
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail)
