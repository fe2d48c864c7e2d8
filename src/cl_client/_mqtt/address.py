"""Addresses and credentials of MQTT brokers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr
from typing_extensions import override

from cl_client._core.validation import check_login
from cl_client._errors import ConfigurationError

Scheme: TypeAlias = Literal["mqtt", "mqtts", "ws", "wss"]

DEFAULT_PORTS: dict[Scheme, int] = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_ALIASES: dict[str, Scheme] = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts"}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Address of a broker. Its text and repr never show the password or the query.

    Attributes:
        host: Host name or IP address.
        port: TCP port, 1-65535.
        scheme: ``mqtt``, ``mqtts`` (TLS), ``ws`` (WebSocket) or ``wss`` (WebSocket with TLS).
        username: User name from the URL, or None.
        password: Password from the URL, or None.
        path: Path of the WebSocket.
        query: Query of the WebSocket's URL, which may be a signature, or None.
    """

    host: str
    port: int
    scheme: Scheme = "mqtt"
    username: str | None = None
    password: SecretStr | None = None
    path: str = "/mqtt"
    query: SecretStr | None = None

    @classmethod
    def parse(cls, broker: str, port: int | None = None) -> BrokerAddress:
        """Parse an address.

        Args:
            broker: ``host``, ``host:port`` or a URL.
            port: Port, if ``broker`` has none; None for the scheme's default port.

        Returns:
            The address.

        Raises:
            ConfigurationError: No host, a port outside 1-65535, an unknown scheme, or an ``@`` in the path.
        """
        parts, found_port = _split(broker.strip())
        scheme = _ALIASES.get(parts.scheme, parts.scheme)
        if scheme not in DEFAULT_PORTS:
            known = ", ".join(f"{name}://" for name in DEFAULT_PORTS)
            raise ConfigurationError(f"MQTT broker scheme {parts.scheme!r} is not one of {known}")
        if not parts.hostname:
            raise ConfigurationError(
                "MQTT broker address has no host; write host, host:port or mqtt://host:port"
            )
        number = found_port if found_port is not None else port or DEFAULT_PORTS[scheme]
        if not 1 <= number <= 65535:  # noqa: PLR2004 - the range of TCP ports
            raise ConfigurationError(f"MQTT broker port {number} is outside 1-65535")
        return cls(
            host=parts.hostname,
            port=number,
            scheme=scheme,
            username=unquote(parts.username) if parts.username else None,
            password=SecretStr(unquote(parts.password)) if parts.password else None,
            path=parts.path or "/mqtt",
            query=SecretStr(parts.query) if parts.query else None,
        )

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in {"mqtts", "wss"}

    @property
    def websocket(self) -> bool:
        """Whether the connection uses a WebSocket."""
        return self.scheme in {"ws", "wss"}

    @property
    def target(self) -> str:
        """Path and query of the WebSocket; secret if the query is."""
        return self.path if self.query is None else f"{self.path}?{self.query.get_secret_value()}"

    @property
    def url(self) -> str:
        """The address as a URL without credentials and query."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path if self.websocket else ''}"

    @override
    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class MQTTCredentials:
    """User name and password for a broker; the repr does not show the password.

    Attributes:
        username: User name.
        password: Password, or a token that the broker accepts as one.
    """

    username: str
    password: SecretStr


def _split(text: str) -> tuple[SplitResult, int | None]:
    """Split an address into its parts and its port; errors quote no part, since it may be a password."""
    url = text if "://" in text else f"mqtt://{text}"
    try:
        check_login(url)
    except ValueError as exc:
        raise ConfigurationError(f"MQTT broker address: {exc}") from None
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        return parts, parts.port
    raise ConfigurationError("MQTT broker address has an invalid host or port")
