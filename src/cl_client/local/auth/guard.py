"""What the compute routes demand: nothing in guest mode, else a token that counts and is good for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException, Request

from cl_client.local.auth.bearer import bearer_token, unauthorized
from cl_client.local.auth.tokens import ExpiredTokenError, InvalidTokenError

if TYPE_CHECKING:
    from cl_client.local.auth.guest_mode import GuestMode
    from cl_client.local.auth.tokens import Claims, TokenAuthority

JOB_PERMISSION: Final = "ai_inference_support"


class Guard:
    """Who may use the compute routes. Its methods are dependencies of FastAPI, and read no body.

    Args:
        tokens: Checks them; None where there is no auth service, and so everything is open.
        guest_mode: While it is on everything is open, and tokens are not looked at.
    """

    def __init__(self, tokens: TokenAuthority | None, guest_mode: GuestMode) -> None:
        self._tokens = tokens
        self.guest_mode = guest_mode

    async def job_user(self, request: Request) -> Claims | None:
        """Who works with jobs; None for anybody.

        Raises:
            HTTPException: 401 or 403.
        """
        claims = self._claims(request)
        if claims is not None and not claims.is_admin and JOB_PERMISSION not in claims.permissions:
            raise _forbidden(JOB_PERMISSION)
        return claims

    async def admin(self, request: Request) -> Claims | None:
        """Who administers the server; None for anybody.

        Raises:
            HTTPException: 401 or 403.
        """
        claims = self._claims(request)
        if claims is not None and not claims.is_admin:
            raise _forbidden("admin")
        return claims

    def _claims(self, request: Request) -> Claims | None:
        if self._tokens is None or self.guest_mode.enabled:
            return None
        token = bearer_token(request)
        if token is None:
            raise unauthorized("Authentication required")
        try:
            return self._tokens.check(token)
        except ExpiredTokenError:
            raise unauthorized("JWT token has expired") from None
        except InvalidTokenError:
            raise unauthorized("Could not validate credentials") from None


def _forbidden(required: str) -> HTTPException:
    return HTTPException(HTTPStatus.FORBIDDEN, f"Insufficient permissions. Required: {required}")
