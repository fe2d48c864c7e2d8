"""pytest fixtures for projects that use this library; a pytest plugin that is found by itself.

By default tests run against a `LocalServer` of their own, which starts once for the whole test run. With
``--server-url`` and ``--mqtt-url`` the same tests run against any CL Server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

try:  # its own kind of fixture works in both of its modes
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # anyio's plugin takes pytest's own
    async_fixture = pytest.fixture

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from cl_client.compute_client import ComputeClient


class ServerAddress(NamedTuple):
    """Where the server under test is."""

    base_url: str
    mqtt_url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options that name a server."""
    group = parser.getgroup("cl_client", "CL Server under test")
    group.addoption(
        "--server-url", metavar="URL", help="a CL Server; default: a local one, made for this run"
    )
    group.addoption("--mqtt-url", metavar="URL", help="the broker of --server-url")


@pytest.fixture(scope="session")
def compute_server(request: pytest.FixtureRequest) -> Generator[ServerAddress]:
    """The server under test: the one that the options name, or a local one."""
    server_url = _option(request, "--server-url")
    mqtt_url = _option(request, "--mqtt-url")
    if server_url is not None:
        if mqtt_url is None:
            raise pytest.UsageError(
                "--server-url needs --mqtt-url: the broker where that server announces jobs"
            )
        yield ServerAddress(server_url, mqtt_url)
        return
    from cl_client.local import LocalServer

    with LocalServer() as server:
        yield ServerAddress(server.base_url, server.mqtt_url)


@async_fixture
async def compute_client(compute_server: ServerAddress) -> AsyncGenerator[ComputeClient]:
    """A client of the server under test, closed after the test."""
    from cl_client.compute_client import ComputeClient

    async with ComputeClient(compute_server.base_url, mqtt_broker=compute_server.mqtt_url) as client:
        yield client


def _option(request: pytest.FixtureRequest, name: str) -> str | None:
    value: object = request.config.getoption(name)
    return value if isinstance(value, str) else None
