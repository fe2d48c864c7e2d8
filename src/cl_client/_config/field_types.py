"""Types of the settings: what a URL, a topic, a path or a number of seconds has to look like."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from cl_client._config.secret_settings import is_off
from cl_client._core.deadlines import MIN_POLL_SECONDS
from cl_client._core.validation import check_endpoint, check_headers, check_proxy, check_server_url
from cl_client._mqtt.address import BrokerAddress

_MAX_SECONDS = 2_000_000
"""About 23 days. Sockets count milliseconds in 32 bits; larger values fail or wait for a wrong time."""


def _base_url(url: str) -> str:
    check_server_url(url)
    return url.rstrip("/")


def _broker(broker: str) -> str:
    if not is_off(broker):
        BrokerAddress.parse(broker)
    return broker


def _topic(topic: str) -> str:
    if not topic or set(topic) & set("#+\0"):
        raise ValueError("a topic cannot be empty or contain a wildcard (# or +)")
    return topic


def _endpoint(path: str) -> str:
    check_endpoint(path)
    return path


def _endpoints(paths: dict[str, str]) -> dict[str, str]:
    for path in paths.values():
        check_endpoint(path)
    return paths


def _proxy(proxy: SecretStr) -> SecretStr:
    check_proxy(proxy.get_secret_value())
    return proxy


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    check_headers({name: value.get_secret_value() for name, value in headers.items()})
    return headers


Seconds = Annotated[float, Field(gt=0, le=_MAX_SECONDS)]
PollSeconds = Annotated[float, Field(ge=MIN_POLL_SECONDS, le=_MAX_SECONDS)]
BaseURL = Annotated[str, AfterValidator(_base_url)]
Broker = Annotated[str, AfterValidator(_broker)]
Topic = Annotated[str, AfterValidator(_topic)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
# Validated as a whole, so that an error names the setting, and not a part of it.
Endpoints = Annotated[dict[str, str], AfterValidator(_endpoints)]
Proxy = Annotated[SecretStr, AfterValidator(_proxy)]
Headers = Annotated[dict[str, SecretStr], AfterValidator(_headers)]
