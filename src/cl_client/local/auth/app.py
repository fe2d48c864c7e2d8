"""The HTTP interface of the auth service, identical on the wire to a CL Server's."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request

from cl_client.local.auth.bearer import bearer_token, unauthorized
from cl_client.local.auth.form_fields import read_form
from cl_client.local.auth.service import Credentials, NewUser, UserChanges
from cl_client.local.auth.tokens import ALGORITHM, InvalidTokenError
from cl_client.local.auth.users import User, UsernameTakenError
from cl_client.local.openapi import FORM_ERRORS, form_body, responses

if TYPE_CHECKING:
    from cl_client.local.auth.service import AuthService

_LARGEST_ROW = 2**63 - 1
_NO_USER = responses(HTTPStatus.UNAUTHORIZED)
_NO_ADMIN = responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_FORM = responses(*FORM_ERRORS)
_NO_SUCH_USER = {**_NO_ADMIN, **responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)}

UserId = Annotated[int, Path(ge=-_LARGEST_ROW, le=_LARGEST_ROW)]
Count = Annotated[int, Query(ge=0, le=_LARGEST_ROW)]


def create_auth_app(service: AuthService) -> FastAPI:
    """Make the application of the auth service.

    Args:
        service: Manages the users and issues the tokens.

    Returns:
        The application with all routes.
    """
    app = FastAPI(title="User Auth Service", version="0.1.0")
    _add_token_routes(app, service)
    _add_user_routes(app, service)

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"message": "authentication service is running"}

    return app


def _add_token_routes(app: FastAPI, service: AuthService) -> None:
    @app.post("/auth/token", responses={**_NO_USER, **_NO_FORM}, openapi_extra=form_body(Credentials))
    async def log_in(request: Request) -> dict[str, str]:
        token = await service.log_in(await read_form(request, Credentials))
        if token is None:
            raise unauthorized("Incorrect username or password")
        return _bearer(token)

    @app.post("/auth/token/refresh", responses=_NO_USER)
    async def refresh(request: Request) -> dict[str, str]:
        return _bearer(service.token_for(await _current_user(service, request)))

    @app.get("/auth/public-key")
    async def public_key() -> dict[str, str]:
        return {"public_key": service.tokens.public_key, "algorithm": ALGORITHM}

    @app.get("/users/me", responses=_NO_USER)
    async def me(request: Request) -> User:
        return await _current_user(service, request)


def _add_user_routes(app: FastAPI, service: AuthService) -> None:
    async def admin(request: Request) -> None:
        user = await _current_user(service, request)
        if not user.is_admin:
            raise HTTPException(HTTPStatus.FORBIDDEN, "The user doesn't have enough privileges")

    admins_only = [Depends(admin)]

    @app.post(
        "/users/",
        status_code=HTTPStatus.CREATED,
        dependencies=admins_only,
        responses={**_NO_ADMIN, **_NO_FORM},
        openapi_extra=form_body(NewUser),
    )
    async def create_user(request: Request) -> User:
        new_user = await read_form(request, NewUser)
        try:
            return await service.add_user(new_user)
        except UsernameTakenError:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "Username already registered") from None

    @app.get(
        "/users/",
        dependencies=admins_only,
        responses={**_NO_ADMIN, **responses(HTTPStatus.UNPROCESSABLE_ENTITY)},
    )
    async def list_users(skip: Count = 0, limit: Count = 100) -> list[User]:
        return await service.users.page(skip, limit)

    @app.get("/users/{user_id}", dependencies=admins_only, responses=_NO_SUCH_USER)
    async def get_user(user_id: UserId) -> User:
        return _known(await service.users.get(user_id))

    @app.put(
        "/users/{user_id}",
        dependencies=admins_only,
        responses={**_NO_SUCH_USER, **_NO_FORM},
        openapi_extra=form_body(UserChanges),
    )
    async def change_user(user_id: UserId, request: Request) -> User:
        return _known(await service.change_user(user_id, await read_form(request, UserChanges)))

    @app.delete(
        "/users/{user_id}",
        status_code=HTTPStatus.NO_CONTENT,
        dependencies=admins_only,
        responses=_NO_SUCH_USER,
    )
    async def delete_user(user_id: UserId) -> None:
        if not await service.users.delete(user_id):
            raise _no_such_user()


async def _current_user(service: AuthService, request: Request) -> User:
    token = bearer_token(request)
    if token is None:
        raise unauthorized("Not authenticated")
    try:
        return await service.user_of(token)
    except InvalidTokenError:
        raise unauthorized("Could not validate credentials") from None


def _bearer(token: str) -> dict[str, str]:
    return {"access_token": token, "token_type": "bearer"}


def _known(user: User | None) -> User:
    if user is None:
        raise _no_such_user()
    return user


def _no_such_user() -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, "User not found")
