"""`PasswordAuthProvider`: gets tokens from the auth service, and renews them before they expire."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from cl_client._auth.client import DEFAULT_AUTH_TIMEOUT, AuthClient
from cl_client._auth.http import auth_config
from cl_client._auth.providers import AuthProvider, JWTAuthProvider, bearer, secret
from cl_client._core.deadlines import deadline
from cl_client._core.log import get_logger
from cl_client._errors import ComputeClientError, ConfigurationError
from cl_client._http.retries import RetryRules, can_repeat, retried
from cl_client._http_errors import AuthenticationError, InvalidRequestError, PermissionDeniedError
from cl_client._mqtt.address import MQTTCredentials

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from cl_client._auth.models import Token
    from cl_client._http_errors import HTTPError
    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.auth")

DEFAULT_RETRY_FOR: Final = 30.0
DEFAULT_REFRESH_MARGIN: Final = 60.0
_LARGEST_PART: Final = 0.2
"""Maximum margin as a fraction of the token's lifetime."""
_EARLY_TIMEOUT: Final = 3.0
"""Maximum seconds that a request waits for a renewal while its token is still valid."""
_FAILURE_STANDS: Final = 5.0
"""Seconds for which a failure is final. Longer than the pauses between retries of a request."""
_MAX_BACKOFF: Final = 2.0
"""Seconds. Shorter than for other requests, because many requests may wait."""


class RenewingAuthProvider(AuthProvider):
    """Holds a token, and renews it before it expires or when a server refuses it.

    Args:
        auth_url: The auth service, for instance ``http://server:8000``.
        username: The user name.
        token: The first token; None for none.
        config: TLS and proxies; by default from the environment. Its addresses and headers are not used.
        ssl_context: Replaces the TLS settings of the config.
        timeout: Timeout in seconds for one request to the auth service, above 0.
        retry_for: Seconds for which an unavailable auth service is retried, above 0.
        refresh_margin: Seconds before its expiry at which a token is renewed, above 0; at most a fifth of the
            token's lifetime.

    Raises:
        ConfigurationError: A setting is invalid.
    """

    def __init__(
        self,
        auth_url: str,
        username: str,
        token: Token | None,
        *,
        config: ComputeClientConfig | None,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
        retry_for: float,
        refresh_margin: float,
    ) -> None:
        for name, seconds in {"retry_for": retry_for, "refresh_margin": refresh_margin}.items():
            if not seconds > 0:
                raise ConfigurationError(f"{name}={seconds!r}: must be above 0 seconds")
        if not username:
            raise ConfigurationError("username: must not be empty; give the name to log in with")
        # Retries are done here, with a limit of their own.
        self._config = auth_config(auth_url, config, timeout, max_retries=0)
        self._username = username
        self._token: Token | None = token
        self._ssl_context = ssl_context
        self._retries = RetryRules(None, retry_for, _MAX_BACKOFF, attempts_count=True)
        self._margin = refresh_margin
        self._early_attempt_at = 0.0
        self._warned_of: Token | None = None
        self._failure: tuple[ComputeClientError, float] | None = None

    @property
    def auth_url(self) -> str:
        """The address of the auth service, without credentials."""
        return self._config.base_url

    @property
    def username(self) -> str:
        """The user name."""
        return self._username

    @override
    def get_headers(self) -> dict[str, str]:
        return {} if self._token is None else bearer(self._token.access_token)

    @override
    def mqtt_credentials(self) -> MQTTCredentials | None:
        return None if self._token is None else MQTTCredentials(self._username, self._token.access_token)

    @override
    async def prepare(self) -> None:
        """Make sure that there is a valid token. Shortly before its expiry, a failed renewal is not an error.

        Raises:
            AuthenticationError: The auth service refused the login.
            ServerUnavailableError: The auth service was unavailable for ``retry_for`` seconds.
        """
        token = self._token
        if token is None or token.is_expired:
            await self.renewals.after(self.renewals.count, self.refresh_token)
        elif self._is_due(token):
            # Only this request waits; all others use the token, which is still valid.
            self._early_attempt_at = time.monotonic() + _FAILURE_STANDS
            await self.renewals.attempt(self._renew_early)

    @override
    async def refresh_token(self) -> None:
        """Request a new token, for `prepare` and after a 401. After a failure, calls fail for five seconds.

        Raises:
            AuthenticationError: The auth service refused the login.
            ServerUnavailableError: The auth service was unavailable for ``retry_for`` seconds.
            ComputeClientError: The auth service failed in another way.
        """
        if self._failure is not None:
            error, since = self._failure
            if time.monotonic() < since + _FAILURE_STANDS:
                raise error.with_traceback(None)
        try:
            await retried(lambda: self._renew(self._config.timeout), can_repeat, self._retries, _log_retry)
        except ComputeClientError as exc:
            self._failure = (exc, time.monotonic())
            raise

    @abstractmethod
    async def _log_in(self, auth: AuthClient, refusal: HTTPError | None) -> Token:
        """Get a token without an earlier one.

        Args:
            auth: An open client without credentials.
            refusal: The error with which the service refused the earlier token; None if it was not asked.
        """

    async def _keep(self, token: Token) -> None:
        """Use a new token from now on."""
        self._token = token

    def _is_due(self, token: Token) -> bool:
        if token.lifetime is None or token.expires_at is None or time.monotonic() < self._early_attempt_at:
            return False
        return time.time() >= token.expires_at - min(self._margin, token.lifetime * _LARGEST_PART)

    async def _renew_early(self) -> bool:
        try:
            await self._renew(min(self._config.timeout, _EARLY_TIMEOUT))
        except ComputeClientError as exc:
            level = logging.DEBUG if self._warned_of is self._token else logging.WARNING
            self._warned_of = self._token
            logger.log(
                level, "the token of %s is still valid, but could not be renewed: %s", self._username, exc
            )
            return False
        return True

    async def _renew(self, seconds: float) -> None:
        what = f"Getting a token from the auth service {self.auth_url}"
        async with deadline(seconds, what, f"{self.auth_url}/auth/token", "POST"):
            token = await self._refreshed_or_anew()
        await self._keep(token)
        self._failure = None
        lifetime = "an unknown time" if token.lifetime is None else f"{token.lifetime:.0f} s"
        logger.debug("the new token of %s is valid for %s", self._username, lifetime)

    async def _refreshed_or_anew(self) -> Token:
        held = self._token
        refusal: HTTPError | None = None
        if held is not None and not held.is_expired:
            try:
                return await self._ask(JWTAuthProvider(held.access_token), AuthClient.refresh)
            except (AuthenticationError, PermissionDeniedError, InvalidRequestError) as exc:
                refusal = exc
        return await self._ask(None, lambda auth: self._log_in(auth, refusal))

    async def _ask(self, who: AuthProvider | None, call: Callable[[AuthClient], Awaitable[Token]]) -> Token:
        """Call the auth service on a new connection: the time between tokens is long."""
        async with AuthClient(
            self.auth_url,
            who,
            config=self._config,
            ssl_context=self._ssl_context,
            timeout=self._config.timeout,
        ) as auth:
            return await call(auth)


class PasswordAuthProvider(RenewingAuthProvider):
    """Logs in with a user name and a password on first use, and renews the token before it expires.

    All waiting requests share one login or refresh. Requests continue while the token is valid, even if it
    cannot be renewed yet. After a failure, no other attempt is made for five seconds.

    Args:
        auth_url: The auth service, for instance ``http://server:8000``.
        username: The user name.
        password: The password; kept in memory only.
        config: TLS and proxies; by default from the environment. Its addresses and headers are not used.
        ssl_context: Replaces the TLS settings of the config.
        timeout: Timeout in seconds for one request to the auth service, above 0.
        retry_for: Seconds for which an unavailable auth service is retried, above 0.
        refresh_margin: Seconds before its expiry at which a token is renewed, above 0; at most a fifth of the
            token's lifetime.

    Raises:
        ConfigurationError: A setting is invalid.
    """

    def __init__(
        self,
        auth_url: str,
        username: str,
        password: str | SecretStr,
        *,
        config: ComputeClientConfig | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = DEFAULT_AUTH_TIMEOUT,
        retry_for: float = DEFAULT_RETRY_FOR,
        refresh_margin: float = DEFAULT_REFRESH_MARGIN,
    ) -> None:
        password = secret(password)
        super().__init__(
            auth_url,
            username,
            None,
            config=config,
            ssl_context=ssl_context,
            timeout=timeout,
            retry_for=retry_for,
            refresh_margin=refresh_margin,
        )
        self._password = password

    @override
    async def _log_in(self, auth: AuthClient, refusal: HTTPError | None) -> Token:
        del refusal  # the password is used again
        return await auth.login(self._username, self._password)

    @override
    def __repr__(self) -> str:
        return f"PasswordAuthProvider({self.auth_url!r}, {self._username!r}, password=***)"


def _log_retry(error: Exception, failed: int, _pause: float) -> None:
    level = logging.WARNING if failed == 1 else logging.DEBUG
    logger.log(level, "attempt %d to get a token failed: %s", failed, error)
