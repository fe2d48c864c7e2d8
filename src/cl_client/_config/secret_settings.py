"""Secrets in the settings: each is only for the server or broker that was named together with it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from typing_extensions import override

from cl_client._core.choices import MQTT_OFF
from cl_client._core.log import get_logger
from cl_client._core.validation import server_of
from cl_client._errors import ConfigurationError
from cl_client._mqtt.address import BrokerAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

logger = get_logger("cl_client.config")

BASE_URL_VARIABLE: Final = "COMPUTE_SERVER_URL"
BROKER_VARIABLE: Final = "MQTT_BROKER_HOST"
PORT_VARIABLE: Final = "MQTT_BROKER_PORT"

_FIELDS: Final = {BASE_URL_VARIABLE: "base_url", BROKER_VARIABLE: "mqtt_broker", PORT_VARIABLE: "mqtt_port"}
_SERVER_SECRETS: Final = frozenset({"http_username", "http_password", "extra_headers"})
# Permission to send the token to one broker does not extend to another.
_BROKER_SECRETS: Final = frozenset({"mqtt_username", "mqtt_password", "mqtt_use_token"})
_LOGINS: Final = (
    ("base_url", "http_username", "http_password"),
    ("mqtt_broker", "mqtt_username", "mqtt_password"),
)


class OfItsServer(PydanticBaseSettingsSource):
    """A source of settings, without secrets for a server that sources of higher precedence have replaced.

    Args:
        settings_cls: Class of the settings.
        source: Source that this one wraps.
    """

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._source = source

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        return cast("tuple[object, str, bool]", self._source.get_field_value(field, field_name))

    @override
    def __call__(self) -> dict[str, object]:
        return without_foreign_secrets(self._source(), self.current_state)


def without_foreign_secrets(
    weaker: Mapping[str, object], stronger: Mapping[str, object]
) -> dict[str, object]:
    """Remove secrets from settings if settings of higher precedence name a different server.

    Secrets without a server of their own are for the first server that is named.

    Args:
        weaker: Settings that may contain secrets.
        stronger: Settings that take precedence over them.

    Returns:
        A copy of ``weaker`` without the secrets for other servers.
    """
    before, chosen = named_by_field(weaker), named_by_field(stronger)
    after = {**before, **chosen}
    foreign: frozenset[str] = frozenset()
    if "base_url" in before and _origin(before) != _origin(after):
        foreign |= _SERVER_SECRETS
    if _names_broker(before) and _broker_origin(before) != _broker_origin(after):
        foreign |= _BROKER_SECRETS
    if dropped := (foreign & before.keys()) - chosen.keys():
        logger.debug("ignored, because they are for a different server: %s", ", ".join(sorted(dropped)))
    return {name: value for name, value in weaker.items() if name not in foreign}


def named_by_field(values: Mapping[str, object]) -> dict[str, object]:
    """Rename settings from their environment variables to their fields.

    Args:
        values: Settings by field or by variable; the variable takes precedence. None is not a value.

    Returns:
        The given settings by field, without those that are None.
    """
    given = {name: value for name, value in values.items() if value is not None}
    by_variable = {_FIELDS[name]: value for name, value in given.items() if name in _FIELDS}
    return {name: value for name, value in given.items() if name not in _FIELDS} | by_variable


def with_logins_apart(values: Mapping[str, object]) -> dict[str, object]:
    """Move user names and passwords from URLs to their own settings.

    Args:
        values: Settings by field or by environment variable.

    Returns:
        A copy of the settings.
    """
    fields = dict(values)
    for url, username, password in _LOGINS:
        for name in (url, *(variable for variable, field in _FIELDS.items() if field == url)):
            if isinstance(text := fields.get(name), str) and "@" in text:
                fields[name], login, secret = _without_login(text)
                fields |= {username: login, password: SecretStr(secret)}
    return fields


def is_off(broker: str) -> bool:
    """Check whether MQTT is turned off.

    Args:
        broker: Value of ``mqtt_broker``.

    Returns:
        Whether it is ``"off"``, in any case.
    """
    return broker.strip().lower() == MQTT_OFF


def host_of(url: str) -> str:
    """Get the host of a URL.

    Args:
        url: Any URL.

    Returns:
        The host, with brackets around an IPv6 address; empty if the URL has none.
    """
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def _without_login(url: str) -> tuple[str, str, str]:
    """Split a URL or a host into three: the URL without credentials, the user name, the password."""
    scheme, mark, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    login, _, host = authority.rpartition("@")
    username, _, password = login.partition(":")
    return f"{scheme}{mark}{host}{slash}{path}", unquote(username), unquote(password)


def _origin(values: Mapping[str, object]) -> tuple[str, str, int | None] | None:
    """Get scheme, host and port of the server; None for an invalid URL, which is rejected later."""
    with contextlib.suppress(httpx.InvalidURL, ValueError):
        return server_of(httpx.URL(str(values["base_url"])))
    return None


def _names_broker(values: Mapping[str, object]) -> bool:
    broker = values.get("mqtt_broker")
    return not is_off(str(broker)) if broker is not None else "base_url" in values


def _broker_origin(values: Mapping[str, object]) -> tuple[str, str, int] | None:
    """Get scheme, host and port of the broker; None if there is none."""
    with contextlib.suppress(ConfigurationError, ValueError):
        broker = str(values.get("mqtt_broker") or host_of(str(values["base_url"])))
        port = values.get("mqtt_port")
        if not is_off(broker):
            address = BrokerAddress.parse(broker, None if port is None else int(str(port)))
            return address.scheme, address.host, address.port
    return None
