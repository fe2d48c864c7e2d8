"""The HTTP interface of the auth service, identical on the wire to a CL Server's."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cl_client.local.auth.bearer import bearer_token, unauthorized
from cl_client.local.auth.form_fields import read_form
from cl_client.local.auth.service import Credentials, NewUser, Page, UserChanges, UserPath
from cl_client.local.auth.tokens import ALGORITHM, InvalidTokenError
from cl_client.local.auth.users import User, UsernameTakenError
from cl_client.local.web import application, json_answer, no_content, read_path, read_query, route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Route
    from starlette.types import ASGIApp

    from cl_client.local.auth.service import AuthService

_USER: Final = TypeAdapter(User)
_USERS: Final = TypeAdapter(list[User])


def create_auth_app(service: AuthService) -> Starlette:
    """Make the application of the auth service.

    Args:
        service: Manages the users and issues the tokens.

    Returns:
        The application with all routes.
    """

    async def root(_request: Request) -> Response:
        return json_answer({"message": "authentication service is running"})

    def make_document() -> ASGIApp:
        from cl_client.local.auth.documentation import document_app

        return document_app()

    routes = [*_token_routes(service), *_user_routes(service), route("GET", "/", root)]
    return application(routes, make_document)


def _token_routes(service: AuthService) -> Sequence[Route]:
    async def log_in(request: Request) -> Response:
        token = await service.log_in(await read_form(request, Credentials))
        if token is None:
            raise unauthorized("Incorrect username or password")
        return _bearer(token)

    async def refresh(request: Request) -> Response:
        return _bearer(service.token_for(await _current_user(service, request)))

    async def public_key(_request: Request) -> Response:
        return json_answer({"public_key": service.tokens.public_key, "algorithm": ALGORITHM})

    async def me(request: Request) -> Response:
        return _as_json(await _current_user(service, request))

    return [
        route("POST", "/auth/token", log_in),
        route("POST", "/auth/token/refresh", refresh),
        route("GET", "/auth/public-key", public_key),
        route("GET", "/users/me", me),
    ]


def _user_routes(service: AuthService) -> Sequence[Route]:
    async def admins_only(request: Request) -> None:
        user = await _current_user(service, request)
        if not user.is_admin:
            raise HTTPException(HTTPStatus.FORBIDDEN, "The user doesn't have enough privileges")

    async def create_user(request: Request) -> Response:
        await admins_only(request)
        new_user = await read_form(request, NewUser)
        try:
            return _as_json(await service.add_user(new_user), HTTPStatus.CREATED)
        except UsernameTakenError:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "Username already registered") from None

    async def list_users(request: Request) -> Response:
        await admins_only(request)
        page = read_query(request, Page)
        users = await service.users.page(page.skip, page.limit)
        return Response(_USERS.dump_json([*users]), media_type="application/json")

    async def get_user(request: Request) -> Response:
        await admins_only(request)
        return _as_json(_known(await service.users.get(_user_id(request))))

    async def change_user(request: Request) -> Response:
        await admins_only(request)
        user_id = _user_id(request)
        return _as_json(_known(await service.change_user(user_id, await read_form(request, UserChanges))))

    async def delete_user(request: Request) -> Response:
        await admins_only(request)
        if not await service.users.delete(_user_id(request)):
            raise _no_such_user()
        return no_content()

    return [
        route("POST", "/users/", create_user),
        route("GET", "/users/", list_users),
        route("GET", "/users/{user_id}", get_user),
        route("PUT", "/users/{user_id}", change_user),
        route("DELETE", "/users/{user_id}", delete_user),
    ]


def _user_id(request: Request) -> int:
    return read_path(request, UserPath).user_id


async def _current_user(service: AuthService, request: Request) -> User:
    token = bearer_token(request)
    if token is None:
        raise unauthorized("Not authenticated")
    try:
        return await service.user_of(token)
    except InvalidTokenError:
        raise unauthorized("Could not validate credentials") from None


def _as_json(user: User, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Only what is public of a user, also of one with a password."""
    return Response(_USER.dump_json(user), status, media_type="application/json")


def _bearer(token: str) -> Response:
    return json_answer({"access_token": token, "token_type": "bearer"})


def _known(user: User | None) -> User:
    if user is None:
        raise _no_such_user()
    return user


def _no_such_user() -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, "User not found")
