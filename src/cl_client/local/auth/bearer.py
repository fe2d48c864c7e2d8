"""Bearer tokens in HTTP requests, and the response to a request without a valid one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import HTTPException
from fastapi.security.utils import get_authorization_scheme_param

if TYPE_CHECKING:
    from fastapi import Request


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of a request.

    Args:
        request: The request.

    Returns:
        The token; None if there is none, or the credentials have another scheme.
    """
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    return token if scheme.lower() == "bearer" and token else None


def unauthorized(detail: str) -> HTTPException:
    """Make the 401 response.

    Args:
        detail: The error message, as on the wire.

    Returns:
        The exception to raise.
    """
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
