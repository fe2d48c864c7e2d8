"""`Session`: log in once for all clients of this program and of its later runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from typing_extensions import override

from cl_client._auth.client import DEFAULT_AUTH_TIMEOUT, AuthClient
from cl_client._auth.http import auth_config
from cl_client._auth.password import DEFAULT_REFRESH_MARGIN, DEFAULT_RETRY_FOR, RenewingAuthProvider
from cl_client._auth.providers import secret
from cl_client._auth.token_store import TokenStore
from cl_client._core.log import get_logger
from cl_client._errors import ConfigurationError
from cl_client._http_errors import AuthenticationError
from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig

if TYPE_CHECKING:
    import ssl

    from pydantic import SecretStr

    from cl_client._auth.models import Token, User
    from cl_client._auth.providers import AuthProvider
    from cl_client._http_errors import HTTPError

logger = get_logger("cl_client.auth")


class Session:
    """A logged-in user; create it with `login`, or with `load` in a later run of the program.

        session = await Session.login("http://server:8000", "admin", password)
        async with session.compute_client() as client: ...

    All clients share one token, which is stored in the system keyring or a private file (`TokenStore`) and
    renewed while it is valid. The password is kept in memory only, so a loaded session ends when its token
    expires: 30 minutes after the last use, with the usual token lifetime of servers.

    A session has no open connections and needs no closing.
    """

    def __init__(
        self,
        provider: _SessionProvider,
        config: ComputeClientConfig,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
    ) -> None:
        self._provider = provider
        self._config = config
        self._ssl_context = ssl_context
        self._timeout = timeout

    @classmethod
    async def login(
        cls,
        auth_url: str,
        username: str,
        password: str | SecretStr,
        *,
        base_url: str | None = None,
        config: ComputeClientConfig | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = DEFAULT_AUTH_TIMEOUT,  # noqa: ASYNC109 - of each request, also later ones
        store: TokenStore | None = None,
    ) -> Session:
        """Log in with a user name and a password, and store the token.

        Args:
            auth_url: The auth service, for instance ``http://server:8000``.
            username: The user name.
            password: The password.
            base_url: The compute service; None for that of the config.
            config: Settings of the compute service, and TLS and proxies of both; None for those of the
                environment.
            ssl_context: Replaces the TLS settings of the config, for both services and the broker.
            timeout: Timeout in seconds for one request to the auth service, above 0.
            store: Stores the token; None for the user's default store.

        Returns:
            The session.

        Raises:
            AuthenticationError: The user name or password is wrong.
            ServerUnavailableError: The auth service is unreachable.
            ConfigurationError: A setting is invalid, or the token cannot be stored.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        password = secret(password)
        config = (config or ComputeClientConfig.create()).replace(base_url=base_url)
        store = store or TokenStore()
        async with AuthClient(auth_url, config=config, ssl_context=ssl_context, timeout=timeout) as auth:
            token = await auth.login(username, password)
        await store.save(auth.auth_url, username, token, log_in=True)
        provider = _SessionProvider(
            auth.auth_url,
            username,
            token,
            password,
            store=store,
            config=config,
            ssl_context=ssl_context,
            timeout=timeout,
        )
        return cls(provider, config, ssl_context, timeout)

    @classmethod
    async def load(
        cls,
        auth_url: str,
        username: str | None = None,
        *,
        base_url: str | None = None,
        config: ComputeClientConfig | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = DEFAULT_AUTH_TIMEOUT,  # noqa: ASYNC109 - of each request, also later ones
        store: TokenStore | None = None,
    ) -> Session:
        """Load a stored session, without any request.

        Args:
            auth_url: The auth service.
            username: The user; None for the user who logged in last.
            base_url: The compute service; None for that of the config.
            config: Settings of the compute service, and TLS and proxies of both; None for those of the
                environment.
            ssl_context: Replaces the TLS settings of the config, for both services and the broker.
            timeout: Timeout in seconds for one request to the auth service, above 0.
            store: Stores the token; None for the user's default store.

        Returns:
            The session.

        Raises:
            AuthenticationError: The user is not logged in. An expired session raises it on first use.
            ConfigurationError: A setting is invalid, or the store cannot be read.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        config = (config or ComputeClientConfig.create()).replace(base_url=base_url)
        store = store or TokenStore()
        auth_url = auth_config(auth_url, config, timeout).base_url
        found = await store.load(auth_url, username)
        if found is None:
            reason = "no user is logged in" if username is None else f"{username!r} is not logged in"
            not_logged_in = _login_required(auth_url, reason)
            raise not_logged_in
        provider = _SessionProvider(
            auth_url, *found, None, store=store, config=config, ssl_context=ssl_context, timeout=timeout
        )
        return cls(provider, config, ssl_context, timeout)

    @property
    def auth_url(self) -> str:
        """The address of the auth service."""
        return self._provider.auth_url

    @property
    def username(self) -> str:
        """The name of the logged-in user."""
        return self._provider.username

    @property
    def auth_provider(self) -> AuthProvider:
        """The auth provider that all clients of this session share; also for your own `ComputeClient`."""
        return self._provider

    def compute_client(
        self, base_url: str | None = None, *, config: ComputeClientConfig | None = None
    ) -> ComputeClient:
        """Create a logged-in client. The caller must close it.

        Args:
            base_url: The compute service; None for that of the session.
            config: Settings of the client; None for those of the session.

        Returns:
            The client.
        """
        return ComputeClient(
            base_url,
            auth_provider=self._provider,
            config=config or self._config,
            ssl_context=self._ssl_context,
        )

    def auth_client(self) -> AuthClient:
        """Create a logged-in client of the auth service, for instance to manage users.

        Returns:
            The client, to be used with ``async with``.
        """
        return AuthClient(
            self.auth_url,
            self._provider,
            config=self._config,
            ssl_context=self._ssl_context,
            timeout=self._timeout,
        )

    async def whoami(self) -> User:
        """Read the user of this session from the auth service.

        Returns:
            The user.

        Raises:
            AuthenticationError: The session has expired; log in again.
            ServerUnavailableError: The auth service is unreachable.
        """
        async with self.auth_client() as auth:
            return await auth.me()

    async def logout(self) -> None:
        """Delete the token and the password from memory and from the store, without any request.

        Clients of this session raise `AuthenticationError` from now on. Other processes keep the token that
        they have loaded.

        Raises:
            ConfigurationError: The token cannot be deleted from the store.
        """
        await self._provider.forget()

    @override
    def __repr__(self) -> str:
        return f"Session({self.auth_url!r}, {self.username!r})"


class _SessionProvider(RenewingAuthProvider):
    """Stores its token, and logs in again only while it knows the password."""

    def __init__(
        self,
        auth_url: str,
        username: str,
        token: Token,
        password: SecretStr | None,
        *,
        store: TokenStore,
        config: ComputeClientConfig,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
    ) -> None:
        super().__init__(
            auth_url,
            username,
            token,
            config=config,
            ssl_context=ssl_context,
            timeout=timeout,
            retry_for=DEFAULT_RETRY_FOR,
            refresh_margin=DEFAULT_REFRESH_MARGIN,
        )
        self._password = password
        self._store = store
        self._forgotten = False

    async def forget(self) -> None:
        """Delete the token and the password from memory and from the store."""
        self._forgotten = True
        self._token = None
        self._password = None
        await self._store.remove(self.auth_url, self.username)

    @override
    async def refresh_token(self) -> None:
        if self._forgotten:
            raise self._logged_out()
        await super().refresh_token()

    @override
    async def _log_in(self, auth: AuthClient, refusal: HTTPError | None) -> Token:
        if self._password is not None:
            return await auth.login(self.username, self._password)
        # Another process may have logged in, or renewed the token in time.
        stored = await self._store.load(self.auth_url, self.username)
        if stored is not None and stored[1] != self._token and not stored[1].is_expired:
            return stored[1]
        raise _login_required(self.auth_url, f"the session of {self.username!r} has expired", refusal)

    @override
    async def _keep(self, token: Token) -> None:
        if not self._forgotten:
            await super()._keep(token)
            try:
                await self._store.save(self.auth_url, self.username, token)
            except ConfigurationError as exc:
                logger.warning("the renewed token of %s could not be stored: %s", self.username, exc)
        if self._forgotten:  # during the request or while it was saved
            await self._store.remove(self.auth_url, self.username)
            raise self._logged_out()

    def _logged_out(self) -> AuthenticationError:
        return _login_required(self.auth_url, f"{self.username!r} has logged out")

    @override
    def __repr__(self) -> str:
        return f"<auth provider of {self.username!r} at {self.auth_url}>"


def _login_required(auth_url: str, reason: str, refusal: HTTPError | None = None) -> AuthenticationError:
    """Make an error with the auth service's response, or with a 401 if no request was sent."""
    words = f" ({refusal.detail})" if refusal else ""
    request = httpx.Request("POST", f"{auth_url}/auth/token/refresh")
    response = refusal.response if refusal else httpx.Response(401, request=request)
    return AuthenticationError(
        f"Auth service {auth_url}: {reason}{words}; log in again", response=response, detail=reason
    )
