"""Servers on the local network that announce themselves by mDNS.

CL Server's launcher announces itself as ``_http._tcp`` with its URLs in TXT records. Those URLs say
``localhost``: only their ports are used, with the host of the announcement. Do not trust an announcement:
anybody on the network can announce anything.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import ifaddr
from pydantic import BaseModel, ConfigDict
from zeroconf import DNSQuestionType, Error, InterfaceChoice, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from zeroconf import Zeroconf

SERVICE_TYPE: Final = "_http._tcp.local."

_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared, not bound
_HTTP_SCHEMES: Final = frozenset({"http", "https"})
_MQTT_SCHEMES: Final = frozenset({"mqtt", "mqtts", "ws", "wss"})
# By RFC 6762, section 6, a responder multicasts nothing again within a second. It may wait a little longer,
# to send several answers together.
_ANSWER_SECONDS: Final = 2.0
_RESOLVE_MILLISECONDS: Final = 2000
_RESOLVED_AT_A_TIME: Final = 16


class DiscoveredServer(BaseModel):
    """A server found on the network; a URL that it does not announce is None.

    Attributes:
        name: Its name on the network.
        compute_url: The URL of the compute service.
        mqtt_url: The URL of the broker.
        auth_url: The URL of the auth service.
        description: Its description of itself.
        error: What is down, if the server announces a problem.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    compute_url: str
    mqtt_url: str | None = None
    auth_url: str | None = None
    description: str | None = None
    error: str | None = None


def read_announcement(name: str, host: str, properties: Mapping[str, str | None]) -> DiscoveredServer | None:
    """Read a server from its TXT records.

    Args:
        name: The name of the service.
        host: Its address on the network.
        properties: The TXT records.

    Returns:
        The server; None for any other HTTP service, or if the URL is invalid.
    """
    compute_url = _at_host(properties.get("compute_url"), host, _HTTP_SCHEMES)
    if compute_url is None:
        return None
    healthy = properties.get("status") != "unhealthy"
    return DiscoveredServer(
        name=name.removesuffix(f".{SERVICE_TYPE}"),
        compute_url=compute_url,
        mqtt_url=_at_host(properties.get("mqtt_url"), host, _MQTT_SCHEMES),
        auth_url=_at_host(properties.get("auth_url"), host, _HTTP_SCHEMES),
        description=properties.get("desc"),
        error=None if healthy else properties.get("error") or "unhealthy",
    )


def _at_host(url: str | None, host: str, schemes: frozenset[str]) -> str | None:
    """A URL with ``localhost`` replaced by the host; None if the URL is invalid."""
    if not url or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # unbalanced brackets, or an invalid port
        return None
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.hostname not in _LOCAL_HOSTS:
        return url
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=shown if port is None else f"{shown}:{port}"))


async def find_servers(seconds: float, interface: str | None) -> list[DiscoveredServer]:
    """Ask for servers, and listen for their answers.

    It ends before the time is up if a server was found and no other one has answered for two seconds.

    Args:
        seconds: How long to listen at most. A server that announced itself less than a second ago may only
            answer after that second: with less than two, it may be missed.
        interface: The IP address of the network interface; None for all.

    Returns:
        The servers, sorted by name.

    Raises:
        OSError: There is no network interface, or its port for mDNS is taken.
    """
    async with _network(interface) as network, asyncio.TaskGroup() as resolving:
        search = _Search(network, resolving)
        # By default zeroconf first asks for answers by unicast. Where processes share the port of mDNS, as
        # with a responder on this machine, the system gives such an answer to any one of them.
        browser = AsyncServiceBrowser(
            network.zeroconf, SERVICE_TYPE, handlers=[search.note], question_type=DNSQuestionType.QM
        )
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await search.settled()
            await search.resolved()
        finally:
            await browser.async_cancel()
    return [search.found[name] for name in sorted(search.found)]


class _Search:
    """The servers that were found so far, and whether others may still answer."""

    def __init__(self, network: AsyncZeroconf, resolving: asyncio.TaskGroup) -> None:
        self.found: dict[str, DiscoveredServer] = {}
        self._network = network
        self._resolving = resolving
        self._pending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_RESOLVED_AT_A_TIME)
        self._news = asyncio.Event()

    def note(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """A service was announced, has changed or has said goodbye."""
        del zeroconf, service_type
        self._news.set()
        if state_change is ServiceStateChange.Removed:
            self.found.pop(name, None)
            return
        task = self._resolving.create_task(self._resolve(name))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def settled(self) -> None:
        """Wait until a server was found, and no other has answered in the time that an answer may take."""
        quiet = False
        while not quiet or not self.found or self._pending:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _ANSWER_SECONDS)
            except TimeoutError:
                quiet = True
            else:
                quiet = False

    async def resolved(self) -> None:
        """Wait for what is being resolved."""
        if self._pending:
            await asyncio.wait(self._pending)

    async def _resolve(self, name: str) -> None:
        async with self._slots:
            server = await _resolve(self._network, name)
        if server is not None:
            self.found[name] = server
        self._news.set()


async def _resolve(network: AsyncZeroconf, name: str) -> DiscoveredServer | None:
    try:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
    except Error:  # the answer's name is not of this type
        return None
    await info.async_request(network.zeroconf, _RESOLVE_MILLISECONDS, question_type=DNSQuestionType.QM)
    addresses = info.parsed_scoped_addresses()
    if not addresses:
        return None
    return read_announcement(name, addresses[0], info.decoded_properties)


@asynccontextmanager
async def announced(
    name: str, host: str, properties: Mapping[str, str], *, interface: str | None = None
) -> AsyncGenerator[None]:
    """Announce a server while the context is open.

    Args:
        name: Its name on the network; a number is appended if the name is taken.
        host: The address it listens on.
        properties: Its URLs as TXT records, as the launcher announces them.
        interface: The IP address of the network interface; None for all.

    Yields:
        Nothing; the announcement is withdrawn afterwards.

    Raises:
        OSError: The network does not allow announcements.
    """
    port = urlsplit(properties["compute_url"]).port
    info = AsyncServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        port=port,
        parsed_addresses=await _addresses(host),
        properties=dict(properties),
    )
    async with _network(interface) as network:
        try:
            await (await network.async_register_service(info, allow_name_change=True))  # pyright: ignore[reportUnknownMemberType] - Awaitable without its result
        except Error as exc:
            raise OSError(f"{name!r} cannot be announced: {exc or type(exc).__name__}") from exc
        try:
            yield
        finally:
            await (await network.async_unregister_service(info))  # pyright: ignore[reportUnknownMemberType] - as above


def is_reachable_by_others(host: str) -> bool:
    """Check whether a server can be reached from other machines.

    Args:
        host: The address it listens on.

    Returns:
        Whether it can.
    """
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


async def _addresses(host: str) -> list[str]:
    """The IP addresses of a server that listens on a host."""
    try:
        address = ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
        return sorted({str(it[4][0]) for it in found})
    if not address.is_unspecified:
        return [host]
    own = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    addresses = [ip for ip in own if isinstance(ip, str) and not ip_address(ip).is_loopback]
    if not addresses:
        raise OSError("this machine has no network address")
    return addresses


@asynccontextmanager
async def _network(interface: str | None) -> AsyncGenerator[AsyncZeroconf]:
    try:
        network = AsyncZeroconf(interfaces=InterfaceChoice.All if interface is None else [interface])
    except RuntimeError as exc:  # what zeroconf raises if there is no network interface
        raise OSError(f"no network interface found: {exc}") from exc
    async with network:
        yield network
