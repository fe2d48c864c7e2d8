"""`AuthClient`: the tokens, users and public key of an auth service."""

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
    """The response to a login or a refresh."""

    model_config = ConfigDict(hide_input_in_errors=True)

    access_token: TokenText
    token_type: str = "bearer"  # noqa: S105 - not a password


_TOKEN_ANSWER = TypeAdapter(_TokenAnswer)
_PUBLIC_KEY = TypeAdapter(PublicKey)
_USER = TypeAdapter(User)
_USERS = TypeAdapter(list[User])


class _OwnToken(AuthProvider):
    """Provides the token of the client's own login."""

    token: SecretStr | None = None

    @override
    def get_headers(self) -> dict[str, str]:
        return {} if self.token is None else bearer(self.token)


class AuthClient:
    """The client of an auth service: ``async with AuthClient(auth_url) as auth``.

    Reads, updates and deletions are retried like those of a `ComputeClient`. A login or the creation of a
    user is retried only if the server has certainly not accepted the request.

    Args:
        auth_url: The auth service, for instance ``http://server:8000``.
        auth_provider: Provides the credentials; None to use the token of `login`.
        config: TLS, proxies and retries; by default from the environment. Its addresses and headers are not
            used.
        ssl_context: Replaces the TLS settings of the config.
        timeout: Timeout in seconds for connecting, and for each single read or write; above 0.

    Raises:
        ConfigurationError: A setting is invalid.
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
        """The address of the auth service, without credentials."""
        return self._config.base_url

    async def __aenter__(self) -> Self:
        running_loop()  # raises without a running loop
        self._opened = AuthHTTP(self._config, self._provider, self._ssl_context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def login(self, username: str, password: str | SecretStr) -> Token:
        """Log in with a user name and a password. A client without ``auth_provider`` then uses the token.

        Args:
            username: The user name.
            password: The password.

        Returns:
            The token.

        Raises:
            AuthenticationError: The user name or password is wrong, or the user is not active.
            ServerUnavailableError: The auth service is unreachable.
        """
        password = secret(password)  # rebinds the name: tracebacks may show the variables of a frame
        form = {"username": username, "password": password}
        return self._received(await self._http().post("/auth/token", form, anonymous=True))

    async def refresh(self) -> Token:
        """Exchange the token, which must still be valid, for a new one.

        Returns:
            The new token.

        Raises:
            AuthenticationError: The token has expired or is invalid.
        """
        return self._received(await self._http().post("/auth/token/refresh", {}))

    async def public_key(self) -> PublicKey:
        """Read the public key that verifies the signatures of tokens.

        Returns:
            The key.
        """
        answer = await self._http().request("GET", "/auth/public-key", anonymous=True)
        return parsed(_PUBLIC_KEY, answer)

    async def verify_token(self, token: str | SecretStr, *, leeway: float = 0.0) -> TokenClaims:
        """Verify the signature and the expiry of a token.

        The public key is cached, and read again if a signature does not match.

        Args:
            token: The JWT.
            leeway: Seconds for which an expired token is still accepted, 0 or more.

        Returns:
            The claims of the token.

        Raises:
            InvalidTokenError: The token has expired, or it or its signature is invalid.
            InvalidResponseError: The public key of the service is not an ES256 key.
            InvalidParameterError: ``leeway`` is below 0.
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
            raise InvalidTokenError(
                f"The token's signature is invalid for the auth service at {self.auth_url}; log in again"
            )
        return claims

    async def me(self) -> User:
        """Read the user of the current credentials.

        Returns:
            The user.

        Raises:
            AuthenticationError: The credentials are missing, invalid or expired.
        """
        return parsed(_USER, await self._http().request("GET", "/users/me"))

    async def list_users(self, skip: int = 0, limit: int = 100) -> list[User]:
        """Read one page of users. Requires an administrator.

        Args:
            skip: Number of users to skip, 0 or more.
            limit: Maximum number of users, 1 or more.

        Returns:
            The users.

        Raises:
            InvalidParameterError: ``skip`` or ``limit`` is out of range.
            PermissionDeniedError: The user is not an administrator.
        """
        if skip < 0 or limit < 1:
            raise InvalidParameterError(f"skip={skip!r}, limit={limit!r}: must be at least 0 and 1")
        # The trailing slash is part of the address.
        return parsed(
            _USERS, await self._http().request("GET", "/users/", params={"skip": skip, "limit": limit})
        )

    async def users(self, *, page_size: int = 100) -> AsyncGenerator[User]:
        """Read all users, page by page. Requires an administrator.

        If a user is deleted during the iteration, another user may be skipped.

        Args:
            page_size: Users per request, 1 or more. The server may return fewer.

        Yields:
            Every user.

        Raises:
            PermissionDeniedError: The user is not an administrator.
        """
        skip = 0
        while page := await self.list_users(skip, page_size):
            for user in page:
                yield user
            skip += len(page)

    async def get_user(self, user_id: int) -> User:
        """Read one user. Requires an administrator.

        Args:
            user_id: The id of the user.

        Returns:
            The user.

        Raises:
            InvalidRequestError: The user was not found.
            PermissionDeniedError: The user is not an administrator.
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
        """Create a user. Requires an administrator.

        Args:
            username: The user name.
            password: The password.
            is_admin: Whether the user is an administrator. Default False.
            is_active: Whether the user may log in. Default True.
            permissions: The permissions; jobs require ``ai_inference_support``. Default none.

        Returns:
            The new user.

        Raises:
            InvalidRequestError: The user name is already taken.
            InvalidParameterError: A permission is empty or contains a comma.
            PermissionDeniedError: The user is not an administrator.
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
        """Update a user. Requires an administrator.

        Args:
            user_id: The id of the user.
            password: The new password; None for no change.
            permissions: All new permissions; None for no change.
            is_active: Whether the user may log in; None for no change.
            is_admin: Whether the user is an administrator; None for no change.

        Returns:
            The updated user.

        Raises:
            InvalidRequestError: The user was not found.
            InvalidParameterError: The password is empty, or a permission is empty or contains a comma.
            InvalidResponseError: The service stored other permissions; some services cannot remove the last
                one.
            PermissionDeniedError: The user is not an administrator.
        """
        password = None if password is None else secret(password)
        if password is not None and not password.get_secret_value():
            raise InvalidParameterError("password: must not be empty; for no change, leave it out")
        form = {
            "password": password,
            "permissions": None if permissions is None else _comma_list(permissions),
            "is_active": is_active,
            "is_admin": is_admin,
        }
        user = parsed(_USER, await self._http().request("PUT", f"/users/{user_id}", form=form))
        if permissions is not None and set(user.permissions) != {one.strip() for one in permissions}:
            raise InvalidResponseError(
                f"User {user_id} has the permissions {[*user.permissions]}; expected {[*permissions]}"
            )
        return user

    async def delete_user(self, user_id: int) -> None:
        """Delete a user. Requires an administrator.

        Args:
            user_id: The id of the user.

        Raises:
            InvalidRequestError: The user was not found.
            PermissionDeniedError: The user is not an administrator.
        """
        await self._http().delete(f"/users/{user_id}")

    def _http(self) -> AuthHTTP:
        if self._opened is None:
            raise ComputeClientError(
                "The AuthClient is not open; use it inside `async with AuthClient(...) as auth`"
            )
        return self._opened

    def _received(self, answer: Document) -> Token:
        token = parsed(_TOKEN_ANSWER, answer)
        self._own_token.token = token.access_token
        lifetime = stated_lifetime(token.access_token, _server_time(answer))
        return Token(access_token=token.access_token, token_type=token.token_type, lifetime=lifetime)


def _server_time(answer: Document) -> float | None:
    """The time of the response by the server's clock, in seconds since the epoch."""
    try:
        return parsedate_to_datetime(str(answer.response.headers["Date"])).timestamp()
    except (KeyError, ValueError):
        return None


def _comma_list(permissions: Sequence[str]) -> str:
    """Permissions in the format of the form field."""
    if isinstance(permissions, str):
        raise InvalidParameterError(
            f"permissions={permissions!r}: must be a list, for instance [{permissions!r}]"
        )
    for permission in permissions:
        if not permission.strip() or "," in permission:
            raise InvalidParameterError(f"permissions: {permission!r} is empty or contains a comma")
    return ",".join(permissions)
