"""The auth service's OpenAPI document.

Imports FastAPI, which is slow, and so is imported for the first request for a document only.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Path, Query

from cl_client.local.auth.service import LARGEST_ROW, Credentials, NewUser, Page, UserChanges
from cl_client.local.auth.users import User  # noqa: TC001 - FastAPI reads the annotations
from cl_client.local.openapi import FORM_ERRORS, form_body, responses

_NO_USER = responses(HTTPStatus.UNAUTHORIZED)
_NO_ADMIN = responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_FORM = responses(*FORM_ERRORS)
_NO_SUCH_USER = {**_NO_ADMIN, **responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)}

UserId = Annotated[int, Path(ge=-LARGEST_ROW, le=LARGEST_ROW)]


def document_app() -> FastAPI:
    """Make the application that serves the documents of the auth service. Its other routes only describe.

    Returns:
        The application.
    """
    app = FastAPI(title="User Auth Service", version="0.1.0")
    _describe_tokens(app)
    _describe_users(app)

    @app.get("/")
    async def root() -> dict[str, str]:
        raise NotImplementedError

    return app


def _describe_tokens(app: FastAPI) -> None:
    @app.post("/auth/token", responses={**_NO_USER, **_NO_FORM}, openapi_extra=form_body(Credentials))
    async def log_in() -> dict[str, str]:
        raise NotImplementedError

    @app.post("/auth/token/refresh", responses=_NO_USER)
    async def refresh() -> dict[str, str]:
        raise NotImplementedError

    @app.get("/auth/public-key")
    async def public_key() -> dict[str, str]:
        raise NotImplementedError

    @app.get("/users/me", responses=_NO_USER)
    async def me() -> User:
        raise NotImplementedError


def _describe_users(app: FastAPI) -> None:
    @app.post(
        "/users/",
        status_code=HTTPStatus.CREATED,
        responses={**_NO_ADMIN, **_NO_FORM},
        openapi_extra=form_body(NewUser),
    )
    async def create_user() -> User:
        raise NotImplementedError

    @app.get("/users/", responses={**_NO_ADMIN, **responses(HTTPStatus.UNPROCESSABLE_ENTITY)})
    async def list_users(page: Annotated[Page, Query()]) -> list[User]:
        raise NotImplementedError

    @app.get("/users/{user_id}", responses=_NO_SUCH_USER)
    async def get_user(user_id: UserId) -> User:
        raise NotImplementedError

    @app.put(
        "/users/{user_id}",
        responses={**_NO_SUCH_USER, **_NO_FORM},
        openapi_extra=form_body(UserChanges),
    )
    async def change_user(user_id: UserId) -> User:
        raise NotImplementedError

    @app.delete("/users/{user_id}", status_code=HTTPStatus.NO_CONTENT, responses=_NO_SUCH_USER)
    async def delete_user(user_id: UserId) -> None:
        raise NotImplementedError
