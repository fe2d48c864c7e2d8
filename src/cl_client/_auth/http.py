"""HTTP requests to an auth service. Errors contain neither passwords nor tokens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from cl_client._auth.providers import NoAuthProvider
from cl_client._errors import ClientClosedError, ComputeClientError, ConfigurationError, InvalidResponseError
from cl_client._http.service import HTTPService
from cl_client._http.tls import make_ssl_context
from cl_client._http.transport import PooledTransport
from cl_client._http_errors import HTTPError, ServerUnavailableError
from cl_client.config import ComputeClientConfig

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Mapping

    from cl_client._auth.providers import AuthProvider
    from cl_client._http.document import Document

ModelT = TypeVar("ModelT")
ResultT = TypeVar("ResultT")

Form: TypeAlias = "Mapping[str, str | SecretStr | bool | None]"
"""Fields by name; None is left out."""


def auth_config(
    auth_url: str, config: ComputeClientConfig | None, timeout: float, **settings: object
) -> ComputeClientConfig:
    """Make the settings for an auth service from those of the compute service, without its secrets.

    Args:
        auth_url: The auth service, with scheme and without credentials.
        config: The settings of the compute service; None for those of the environment.
        timeout: Timeout in seconds for connecting, and for each single read or write; above 0.
        **settings: Further settings to change.

    Returns:
        The settings.

    Raises:
        ConfigurationError: A setting is invalid; the message does not quote the URL.
    """
    if not auth_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            "auth_url: must start with http:// or https://, for instance http://server:8000"
        )
    if "@" in auth_url:
        raise ConfigurationError("auth_url: must not contain a user name or password; pass them as arguments")
    config = config or ComputeClientConfig.create()
    # Secrets belong to the compute service, even if only its default address is set. Its extra headers are
    # never sent to the auth service, even on the same server: they may be for a proxy in between. HTTP/2 has
    # no benefit for single requests, and its library logs the encoded headers at DEBUG.
    bound = config.replace(base_url=config.base_url)
    return bound.replace(base_url=auth_url, timeout=timeout, extra_headers={}, http2=False, **settings)


class AuthHTTP:
    """Requests to an auth service; belongs to one event loop.

    Args:
        config: The settings from `auth_config`.
        provider: Provides the credentials.
        ssl_context: Replaces the TLS settings of the config.
    """

    def __init__(
        self, config: ComputeClientConfig, provider: AuthProvider, ssl_context: ssl.SSLContext | None
    ) -> None:
        make_context = partial(make_ssl_context, config) if ssl_context is None else lambda: ssl_context
        self._url = config.base_url
        # Follows no redirect: another server would receive the form with the password.
        self._pool = PooledTransport(config, make_context)
        self._client = httpx.AsyncClient(transport=self._pool)
        self._anonymous = HTTPService(config, NoAuthProvider(), make_context, http_client=self._client)
        self._known = HTTPService(config, provider, make_context, http_client=self._client)

    async def close(self) -> None:
        """Close all connections; running calls raise `ClientClosedError`."""
        self._anonymous.stop()
        self._known.stop()
        self._pool.abandon()
        await self._anonymous.close()
        await self._known.close()
        await self._client.aclose()

    async def post(self, path: str, form: Form, *, anonymous: bool = False) -> Document:
        """Send a form that the server must not process twice.

        Args:
            path: The path on the auth service.
            form: The fields.
            anonymous: Send no credentials. Default False.

        Returns:
            The response.
        """
        service = self._anonymous if anonymous else self._known
        body = httpx.ByteStream(urlencode(_fields(form)).encode())
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(b"".join(body))),
        }
        return await _without_secrets(self._url, service.submit(path, body, headers))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, int] | None = None,
        form: Form | None = None,
        anonymous: bool = False,
    ) -> Document:
        """Send a request that may be retried.

        Args:
            method: The HTTP method.
            path: The path on the auth service.
            params: Query parameters.
            form: Form fields; None for no body.
            anonymous: Send no credentials. Default False.

        Returns:
            The response.
        """
        service = self._anonymous if anonymous else self._known
        call = service.request(method, path, params=params, form=None if form is None else _fields(form))
        return await _without_secrets(self._url, call)

    async def delete(self, path: str) -> None:
        """Send a DELETE request. A 404 after a retry is not an error: an earlier attempt may have succeeded.

        Args:
            path: The path on the auth service.
        """
        await _without_secrets(self._url, self._known.delete(path))


def parsed(model: TypeAdapter[ModelT], answer: Document) -> ModelT:
    """Validate the body of a response. Errors do not quote the body, which may contain a token.

    Args:
        model: The expected type.
        answer: The response.

    Returns:
        The validated body.

    Raises:
        InvalidResponseError: The body does not match the type.
    """
    try:
        return model.validate_json(answer.content)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}"
            for e in exc.errors(include_input=False)
        )
    # Outside the except clause, so that the error has no context, which would quote the body.
    raise InvalidResponseError(
        f"{answer.response.request.url.path}: not a valid response of an auth service: {problems}"
    )


def _fields(form: Form) -> dict[str, str]:
    return {name: _text(value) for name, value in form.items() if value is not None}


def _text(value: str | SecretStr | bool) -> str:  # noqa: FBT001 - the value of a field
    if isinstance(value, bool):
        return str(value).lower()
    return value.get_secret_value() if isinstance(value, SecretStr) else value


async def _without_secrets(auth_url: str, call: Awaitable[ResultT]) -> ResultT:
    """Make errors name the auth service, and remove requests and frames that hold a password or token."""
    error: ComputeClientError
    try:
        return await call
    except HTTPError as exc:
        error = exc
        error.request = error.response.request = httpx.Request(exc.request.method, exc.request.url)
    except ServerUnavailableError as exc:
        error = type(exc)(f"Auth service {auth_url}: {exc}")
        error.may_have_been_accepted = exc.may_have_been_accepted
        error.request = httpx.Request(exc.request.method, exc.request.url)
    except InvalidResponseError as exc:
        error = type(exc)(f"Auth service {auth_url}: {exc}")
    except ClientClosedError:
        error = ClientClosedError()
    # Outside the except clauses, so that the replaced error is not its context.
    raise error.with_traceback(None)
