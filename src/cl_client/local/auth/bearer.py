"""Bearer tokens in HTTP requests, and the answer to a request that has none that counts."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import HTTPException
from fastapi.security.utils import get_authorization_scheme_param

if TYPE_CHECKING:
    from fastapi import Request


def bearer_token(request: Request) -> str | None:
    """The token that was sent; None for none, or credentials of another kind."""
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    return token if scheme.lower() == "bearer" and token else None


def unauthorized(detail: str) -> HTTPException:
    """The answer 401."""
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
