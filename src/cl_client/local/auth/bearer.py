"""Bearer tokens in HTTP requests, and the response to a request without a valid one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of a request.

    Args:
        request: The request.

    Returns:
        The token; None if there is none, or the credentials have another scheme.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def unauthorized(detail: str) -> HTTPException:
    """Make the 401 response.

    Args:
        detail: The error message, as on the wire.

    Returns:
        The exception to raise.
    """
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
