"""HTTP to an auth service: forms that hold passwords, answers that hold tokens, errors that hold neither."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from cl_client._auth.providers import NoAuthProvider
from cl_client._errors import (
    ClientClosedError,
    ComputeClientError,
    ConfigurationError,
    HTTPError,
    InvalidResponseError,
    ServerUnavailableError,
)
from cl_client._http.service import HTTPService
from cl_client._http.tls import make_ssl_context
from cl_client._http.transport import PooledTransport
from cl_client.config import ComputeClientConfig

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Mapping

    from cl_client._auth.providers import AuthProvider
    from cl_client._http.document import Document

ModelT = TypeVar("ModelT")
ResultT = TypeVar("ResultT")

Form: TypeAlias = "Mapping[str, str | SecretStr | bool | None]"
"""Fields by their names; None is left out."""


def auth_config(
    auth_url: str, config: ComputeClientConfig | None, timeout: float, **settings: object
) -> ComputeClientConfig:
    """The settings for talking to an auth service: those for the compute service that are not its alone.

    Raises:
        ConfigurationError: A setting is unusable; the message does not quote the URL.
    """
    if not auth_url.startswith(("http://", "https://")):
        raise ConfigurationError("auth_url: write it with its scheme, for instance http://server:8000")
    if "@" in auth_url:
        raise ConfigurationError(
            "auth_url: leave the user name and password out; they have their own arguments"
        )
    config = config or ComputeClientConfig.create()
    # Secrets are for the compute service, also where only its default address says so. Its headers are even
    # where both are one server: they may be between it and the client. HTTP/2 is of no use for single
    # requests, and its library logs the encoded headers at DEBUG.
    bound = config.replace(base_url=config.base_url)
    return bound.replace(base_url=auth_url, timeout=timeout, extra_headers={}, http2=False, **settings)


class AuthHTTP:
    """Requests to an auth service; belongs to one event loop.

    Args:
        config: What `auth_config` gives.
        provider: Who the client is.
        ssl_context: In place of the one that the config describes.
    """

    def __init__(
        self, config: ComputeClientConfig, provider: AuthProvider, ssl_context: ssl.SSLContext | None
    ) -> None:
        make_context = partial(make_ssl_context, config) if ssl_context is None else lambda: ssl_context
        self._url = config.base_url
        # It follows no redirect: another server would be sent the form, with the password in it.
        self._pool = PooledTransport(config, make_context)
        self._client = httpx.AsyncClient(transport=self._pool)
        self._anonymous = HTTPService(config, NoAuthProvider(), make_context, http_client=self._client)
        self._known = HTTPService(config, provider, make_context, http_client=self._client)

    async def close(self) -> None:
        """Close every connection; calls under way end in `ClientClosedError`."""
        self._anonymous.stop()
        self._known.stop()
        self._pool.abandon()
        await self._anonymous.close()
        await self._known.close()
        await self._client.aclose()

    async def post(self, path: str, form: Form, *, anonymous: bool = False) -> Document:
        """Send a form that is not to be taken twice."""
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
        """Send something that may be repeated."""
        service = self._anonymous if anonymous else self._known
        call = service.request(method, path, params=params, form=None if form is None else _fields(form))
        return await _without_secrets(self._url, call)

    async def delete(self, path: str) -> None:
        """Delete something; that it is gone is no error where an attempt before may have deleted it."""
        await _without_secrets(self._url, self._known.delete(path))


def parsed(model: TypeAdapter[ModelT], answer: Document) -> ModelT:
    """The body as a model; an error does not quote the body, which may be a token.

    Raises:
        InvalidResponseError: It is not of that shape.
    """
    try:
        return model.validate_json(answer.content)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}"
            for e in exc.errors(include_input=False)
        )
    # Outside of the except clause, or the error would remember the one that quotes the body.
    raise InvalidResponseError(
        f"{answer.response.request.url.path}: not what an auth service answers: {problems}"
    )


def _fields(form: Form) -> dict[str, str]:
    return {name: _text(value) for name, value in form.items() if value is not None}


def _text(value: str | SecretStr | bool) -> str:  # noqa: FBT001 - a field like any other
    if isinstance(value, bool):
        return str(value).lower()
    return value.get_secret_value() if isinstance(value, SecretStr) else value


async def _without_secrets(auth_url: str, call: Awaitable[ResultT]) -> ResultT:
    """Let errors name the auth service, and carry no request and no frame that holds a password or token."""
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
    # Outside of the except clauses, or the error would remember the one that it replaces.
    raise error.with_traceback(None)
