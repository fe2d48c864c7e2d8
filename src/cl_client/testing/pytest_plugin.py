"""pytest fixtures for projects that use this library; a pytest plugin that is found by itself.

By default tests run against a `LocalServer` of their own, which starts once for the whole test run. With
``--cl-server-url`` and ``--cl-mqtt-url`` the same tests run against any CL Server.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

import pytest

try:
    from pytest_asyncio import fixture as asyncio_fixture
except ImportError:
    asyncio_fixture = None

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from cl_client.compute_client import ComputeClient
    from cl_client.local import LocalServer
    from cl_client.testing.faulty_server import FaultyServer

LoopScope: TypeAlias = Literal["function", "class", "module", "package", "session"]
"""How long one event loop of pytest-asyncio lives."""


class ServerAddress(NamedTuple):
    """Where the server under test is."""

    base_url: str
    mqtt_url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options that name a server.

    Args:
        parser: pytest's parser of options.
    """
    group = parser.getgroup("cl_client", "CL Server under test")
    group.addoption(
        "--cl-server-url", metavar="URL", help="a CL Server; default: a local one, started for this run"
    )
    group.addoption("--cl-mqtt-url", metavar="URL", help="the MQTT broker of --cl-server-url")


@pytest.fixture(scope="session")
def compute_server(request: pytest.FixtureRequest) -> Generator[ServerAddress]:
    """The server under test: the one that the options name, or a local one.

    Args:
        request: Knows the options.

    Yields:
        Its address.

    Raises:
        pytest.UsageError: Only one of the two options is given.
    """
    server_url = _option(request, "--cl-server-url")
    mqtt_url = _option(request, "--cl-mqtt-url")
    if server_url is not None:
        if mqtt_url is None:
            raise pytest.UsageError(
                "--cl-server-url needs --cl-mqtt-url: the MQTT broker to which that server publishes"
            )
        yield ServerAddress(server_url, mqtt_url)
        return
    with _local_server_class()() as server:
        yield ServerAddress(server.base_url, server.mqtt_url)


@pytest.fixture(scope="session")
def _shared_local_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalServer]:
    """The server behind `faulty_server`: started once; after each test it is as it was."""
    with _local_server_class()(workers=1, data_dir=tmp_path_factory.mktemp("faulty-server")) as server:
        yield server


def _local_server_class() -> type[LocalServer]:
    try:
        from cl_client.local import LocalServer
    except ImportError as exc:
        pytest.fail(f"{exc.name} is not installed: pip install 'cl_client[testing]'", pytrace=False)
    return LocalServer


def _on_loop(loop_scope: LoopScope, name: str) -> Callable[[object], object]:
    """Make a fixture on an event loop of that scope, which pytest-asyncio notes on the function itself."""
    full_name = f"_{name}_on_{loop_scope}_loop"
    if asyncio_fixture is None:  # anyio's plugin takes pytest's own fixtures
        return cast("Callable[[object], object]", pytest.fixture(name=full_name))
    return cast("Callable[[object], object]", asyncio_fixture(loop_scope=loop_scope, name=full_name))


def _client_on(loop_scope: LoopScope) -> object:
    async def client(compute_server: ServerAddress) -> AsyncGenerator[ComputeClient]:
        from cl_client.compute_client import ComputeClient

        async with ComputeClient(compute_server.base_url, mqtt_broker=compute_server.mqtt_url) as opened:
            yield opened

    return _on_loop(loop_scope, "compute_client")(client)


def _faulty_on(loop_scope: LoopScope) -> object:
    async def faulty(_shared_local_server: LocalServer) -> AsyncGenerator[FaultyServer]:
        from cl_client.testing.faulty_server import FaultyServer

        async with FaultyServer(_shared_local_server) as server:
            yield server
            if not _shared_local_server.is_running:
                await server.start()
            # A job that is left would be counted by the next test's `hold_job` and `fail_job`.
            await asyncio.to_thread(_shared_local_server.delete_jobs)

    return _on_loop(loop_scope, "faulty_server")(faulty)


_client_on_function_loop = _client_on("function")
_client_on_class_loop = _client_on("class")
_client_on_module_loop = _client_on("module")
_client_on_package_loop = _client_on("package")
_client_on_session_loop = _client_on("session")
_faulty_on_function_loop = _faulty_on("function")
_faulty_on_class_loop = _faulty_on("class")
_faulty_on_module_loop = _faulty_on("module")
_faulty_on_package_loop = _faulty_on("package")
_faulty_on_session_loop = _faulty_on("session")


@pytest.fixture
def compute_client(request: pytest.FixtureRequest, compute_server: ServerAddress) -> ComputeClient:
    """A client of the server under test, on the event loop of the test, closed after it.

    Args:
        request: Tells the event loop of the test.
        compute_server: The server under test, so that it is started before.

    Returns:
        The open client.
    """
    del compute_server
    return cast("ComputeClient", _on_the_loop_of_the_test(request, "compute_client"))


@pytest.fixture
def faulty_server(request: pytest.FixtureRequest, _shared_local_server: LocalServer) -> FaultyServer:
    """A local server that fails as the test says, on the event loop of the test; see `FaultyServer`.

    The server starts once for the test run; after each test its jobs are deleted and its faults are undone.

    Args:
        request: Tells the event loop of the test.

    Returns:
        The running server.
    """
    return cast("FaultyServer", _on_the_loop_of_the_test(request, "faulty_server"))


def _on_the_loop_of_the_test(request: pytest.FixtureRequest, name: str) -> object:
    config = request.config
    if (
        "anyio_backend" in request.fixturenames
        and config.pluginmanager.hasplugin("asyncio")
        and "auto" in {config.getoption("asyncio_mode"), config.getini("asyncio_mode")}
    ):
        pytest.fail(
            "Tests of anyio's plugin need asyncio_mode=strict, or pytest -p no:asyncio", pytrace=False
        )
    return cast("object", request.getfixturevalue(f"_{name}_on_{_loop_scope(request)}_loop"))


def _loop_scope(request: pytest.FixtureRequest) -> str:
    """The scope of the event loop that pytest-asyncio runs the test on."""
    node = cast("pytest.Item", request.node)
    marker = node.get_closest_marker("asyncio")
    chosen = cast("object", marker.kwargs.get("loop_scope")) if marker is not None else None
    if chosen is None and request.config.pluginmanager.hasplugin("asyncio"):
        chosen = cast("object", request.config.getini("asyncio_default_test_loop_scope"))
    return chosen if isinstance(chosen, str) else "function"


def _option(request: pytest.FixtureRequest, name: str) -> str | None:
    value: object = request.config.getoption(name)
    return value if isinstance(value, str) else None
