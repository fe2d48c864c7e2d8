"""`AuthClient`: tokens, users and the public key of an auth service."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter
from typing_extensions import override

from cl_client._auth.http import AuthHTTP, auth_config, parsed
from cl_client._auth.models import PublicKey, Token, TokenClaims, TokenText, User, stated_lifetime
from cl_client._auth.providers import AuthProvider, bearer, secret
from cl_client._auth.token_check import checked_claims
from cl_client._core.threads import running_loop
from cl_client._errors import (
    ComputeClientError,
    InvalidParameterError,
    InvalidResponseError,
    InvalidTokenError,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType
    from typing import Self

    from cl_client._http.document import Document
    from cl_client.config import ComputeClientConfig

DEFAULT_AUTH_TIMEOUT: Final = 10.0


class _TokenAnswer(BaseModel):
    """What a login or a refresh is answered with."""

    model_config = ConfigDict(hide_input_in_errors=True)

    access_token: TokenText
    token_type: str = "bearer"  # noqa: S105 - no password


_TOKEN_ANSWER = TypeAdapter(_TokenAnswer)
_PUBLIC_KEY = TypeAdapter(PublicKey)
_USER = TypeAdapter(User)
_USERS = TypeAdapter(list[User])


class _OwnToken(AuthProvider):
    """The token of a client's own login."""

    token: SecretStr | None = None

    @override
    def get_headers(self) -> dict[str, str]:
        return {} if self.token is None else bearer(self.token)


class AuthClient:
    """The client of an auth service: ``async with AuthClient(auth_url) as auth``.

    Reads, changes and deletions are tried again like those of a `ComputeClient`; logging in and creating a
    user only where the server certainly did not take the request.

    Args:
        auth_url: The auth service, for instance ``http://server:8000``.
        auth_provider: Who the client is. None for the user who logs in with `login`.
        config: TLS, proxies and retries; by default from the environment. Its addresses and headers are not
            used.
        ssl_context: In place of the one that the config describes.
        timeout: Seconds for connecting, and for each single read or write; above 0.

    Raises:
        ConfigurationError: A setting is unusable.
    """

    def __init__(
        self,
        auth_url: str,
        auth_provider: AuthProvider | None = None,
        *,
        config: ComputeClientConfig | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = DEFAULT_AUTH_TIMEOUT,
    ) -> None:
        self._config = auth_config(auth_url, config, timeout)
        self._ssl_context = ssl_context
        self._own_token = _OwnToken()
        self._provider = auth_provider or self._own_token
        self._opened: AuthHTTP | None = None
        self._key: PublicKey | None = None

    @property
    def auth_url(self) -> str:
        """The auth service, without credentials."""
        return self._config.base_url

    async def __aenter__(self) -> Self:
        running_loop()  # or this is no place for it
        self._opened = AuthHTTP(self._config, self._provider, self._ssl_context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def login(self, username: str, password: str | SecretStr) -> Token:
        """Exchange a name and a password for a token. A client without ``auth_provider`` goes on with it.

        Raises:
            AuthenticationError: The service does not accept them, or the user is not active.
            ServerUnavailableError: It cannot be reached.
        """
        password = secret(password)  # in its place: the variables of a frame may be shown
        form = {"username": username, "password": password}
        return self._received(await self._http().post("/auth/token", form, anonymous=True))

    async def refresh(self) -> Token:
        """Exchange the token, which must still count, for a new one.

        Raises:
            AuthenticationError: The token is too old, or none of this service.
        """
        return self._received(await self._http().post("/auth/token/refresh", {}))

    async def public_key(self) -> PublicKey:
        """What the signatures of its tokens are checked with."""
        answer = await self._http().request("GET", "/auth/public-key", anonymous=True)
        return parsed(_PUBLIC_KEY, answer)

    async def verify_token(self, token: str | SecretStr, *, leeway: float = 0.0) -> TokenClaims:
        """Check a token's signature and its time. The key is kept, and read anew if a signature does not fit.

        Args:
            token: The JWT.
            leeway: Seconds for which a token still counts when its time is over; 0 or more.

        Raises:
            InvalidTokenError: It does not count.
            InvalidResponseError: The service has no key for ES256.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        token = secret(token)
        if not leeway >= 0:
            raise InvalidParameterError(f"leeway={leeway!r}: must be 0 seconds or more")
        known = self._key is not None
        self._key = self._key or await self.public_key()
        claims = checked_claims(token, self._key, leeway)
        if claims is None and known:
            self._key = await self.public_key()
            claims = checked_claims(token, self._key, leeway)
        if claims is None:
            raise InvalidTokenError(f"The token's signature is none of the auth service at {self.auth_url}")
        return claims

    async def me(self) -> User:
        """Whose credentials these are."""
        return parsed(_USER, await self._http().request("GET", "/users/me"))

    async def list_users(self, skip: int = 0, limit: int = 100) -> list[User]:
        """Some users; needs an administrator.

        Args:
            skip: How many to leave out at the beginning; 0 or more.
            limit: How many at most; 1 or more.

        Raises:
            PermissionDeniedError: The client is no administrator.
        """
        if skip < 0 or limit < 1:
            raise InvalidParameterError(f"skip={skip!r}, limit={limit!r}: must be at least 0 and 1")
        # Without the slash at the end this is another address.
        return parsed(
            _USERS, await self._http().request("GET", "/users/", params={"skip": skip, "limit": limit})
        )

    async def users(self, *, page_size: int = 100) -> AsyncGenerator[User]:
        """Yield every user, read page by page; needs an administrator.

        One who is deleted meanwhile can hide another one from this.

        Args:
            page_size: How many to ask for at once; 1 or more. The server may give fewer.

        Raises:
            PermissionDeniedError: The client is no administrator.
        """
        skip = 0
        while page := await self.list_users(skip, page_size):
            for user in page:
                yield user
            skip += len(page)

    async def get_user(self, user_id: int) -> User:
        """One user, by the server's number; needs an administrator.

        Raises:
            InvalidRequestError: There is no such user.
        """
        return parsed(_USER, await self._http().request("GET", f"/users/{user_id}"))

    async def create_user(
        self,
        username: str,
        password: str | SecretStr,
        *,
        is_admin: bool = False,
        is_active: bool = True,
        permissions: Sequence[str] = (),
    ) -> User:
        """Add a user; needs an administrator.

        Args:
            username: The name to log in with.
            password: The password.
            is_admin: Whether the user may do everything.
            is_active: Whether the user may log in.
            permissions: What the user may do; jobs need ``ai_inference_support``.

        Raises:
            InvalidRequestError: The name is taken.
            InvalidParameterError: A permission is empty or has a comma in it.
        """
        password = secret(password)
        form = {
            "username": username,
            "password": password,
            "is_admin": is_admin,
            "is_active": is_active,
            "permissions": _comma_list(permissions),
        }
        return parsed(_USER, await self._http().post("/users/", form))

    async def update_user(
        self,
        user_id: int,
        *,
        password: str | SecretStr | None = None,
        permissions: Sequence[str] | None = None,
        is_active: bool | None = None,
        is_admin: bool | None = None,
    ) -> User:
        """Change what is not None of a user; needs an administrator.

        Raises:
            InvalidRequestError: There is no such user.
            InvalidParameterError: The password is empty, or a permission is or has a comma in it.
            InvalidResponseError: The service kept other permissions: some cannot take the last one away.
        """
        password = None if password is None else secret(password)
        if password is not None and not password.get_secret_value():
            raise InvalidParameterError("password: it is empty, which servers take for no change; write one")
        form = {
            "password": password,
            "permissions": None if permissions is None else _comma_list(permissions),
            "is_active": is_active,
            "is_admin": is_admin,
        }
        user = parsed(_USER, await self._http().request("PUT", f"/users/{user_id}", form=form))
        if permissions is not None and set(user.permissions) != {one.strip() for one in permissions}:
            raise InvalidResponseError(
                f"User {user_id} now has the permissions {[*user.permissions]}, not {[*permissions]}"
            )
        return user

    async def delete_user(self, user_id: int) -> None:
        """Delete a user; needs an administrator.

        Raises:
            InvalidRequestError: There is no such user.
        """
        await self._http().delete(f"/users/{user_id}")

    def _http(self) -> AuthHTTP:
        if self._opened is None:
            raise ComputeClientError("An AuthClient works inside of `async with AuthClient(...) as auth`")
        return self._opened

    def _received(self, answer: Document) -> Token:
        token = parsed(_TOKEN_ANSWER, answer)
        self._own_token.token = token.access_token
        lifetime = stated_lifetime(token.access_token, _server_time(answer))
        return Token(access_token=token.access_token, token_type=token.token_type, lifetime=lifetime)


def _server_time(answer: Document) -> float | None:
    """The server's clock at its answer, in seconds since the epoch."""
    try:
        return parsedate_to_datetime(str(answer.response.headers["Date"])).timestamp()
    except (KeyError, ValueError):
        return None


def _comma_list(permissions: Sequence[str]) -> str:
    """Permissions as the wire wants them."""
    if isinstance(permissions, str):
        raise InvalidParameterError(
            f"permissions={permissions!r}: write a list, for instance [{permissions!r}]"
        )
    for permission in permissions:
        if not permission.strip() or "," in permission:
            raise InvalidParameterError(f"permissions: {permission!r} is empty or has a comma in it")
    return ",".join(permissions)
