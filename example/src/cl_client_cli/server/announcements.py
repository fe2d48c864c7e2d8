"""Servers on the local network, found by mDNS.

The launcher announces itself as ``_http._tcp`` with its URLs in TXT records. Those say ``localhost``: their
ports count, and the host is that of the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict
from zeroconf import InterfaceChoice, ServiceBrowser, ServiceStateChange
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zeroconf import Zeroconf

SERVICE_TYPE: Final = "_http._tcp.local."

_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared, not bound


class DiscoveredServer(BaseModel):
    """A server as it announces itself; an address that it does not have is None.

    Attributes:
        name: Its name on the network.
        compute_url: The compute service.
        mqtt_url: The broker.
        auth_url: The auth service.
        description: Its own words.
        error: What is down, where the server says so.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    compute_url: str
    mqtt_url: str | None = None
    auth_url: str | None = None
    description: str | None = None
    error: str | None = None


def read_announcement(name: str, host: str, properties: Mapping[str, str | None]) -> DiscoveredServer | None:
    """A server from its TXT records; None for any other HTTP service.

    Args:
        name: The service's name.
        host: Its address on the network.
        properties: The TXT records.
    """
    compute_url = properties.get("compute_url")
    if not compute_url:
        return None
    healthy = properties.get("status") != "unhealthy"
    return DiscoveredServer(
        name=name.removesuffix(f".{SERVICE_TYPE}"),
        compute_url=at_host(compute_url, host),
        mqtt_url=at_host(url, host) if (url := properties.get("mqtt_url")) else None,
        auth_url=at_host(url, host) if (url := properties.get("auth_url")) else None,
        description=properties.get("desc"),
        error=None if healthy else properties.get("error") or "unhealthy",
    )


def at_host(url: str, host: str) -> str:
    """A URL with its host replaced, if that is the announcing machine's own name for itself."""
    parts = urlsplit(url)
    if parts.hostname not in _LOCAL_HOSTS:
        return url
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if parts.port is None else f"{shown}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc))


async def find_servers(seconds: float, interface: str | None) -> list[DiscoveredServer]:
    """Listen for announcements.

    Args:
        seconds: How long.
        interface: The IP address of the network interface; None for all.

    Raises:
        OSError: The network does not let itself be listened to.
    """
    import asyncio

    names: set[str] = set()

    def note(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del zeroconf, service_type
        if state_change is not ServiceStateChange.Removed:
            names.add(name)

    interfaces = InterfaceChoice.All if interface is None else [interface]
    async with AsyncZeroconf(interfaces=interfaces) as network:
        browser = ServiceBrowser(network.zeroconf, SERVICE_TYPE, handlers=[note])
        try:
            await asyncio.sleep(seconds)
            found = await asyncio.gather(*(_resolve(network, name) for name in sorted(names)))
        finally:
            browser.cancel()
    return [server for server in found if server is not None]


async def _resolve(network: AsyncZeroconf, name: str) -> DiscoveredServer | None:
    info = AsyncServiceInfo(SERVICE_TYPE, name)
    await info.async_request(network.zeroconf, _RESOLVE_MILLISECONDS)
    addresses = info.parsed_scoped_addresses()
    if not addresses:
        return None
    return read_announcement(name, addresses[0], info.decoded_properties)


_RESOLVE_MILLISECONDS: Final = 2000
