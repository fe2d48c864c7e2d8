"""Fixtures for every test: leak checks, local servers, and a real Mosquitto."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

import pytest

import clean_environment
import patience
from bytecode import keep_bytecode
from cheap_passwords import cheap_passwords
from cl_client.local import LocalServer
from cl_client.local.models.users_models import users_models
from followers import broken_promises
from forked_workers import forked_workers
from open_files import open_files
from server_process import ServerProcess
from support import (
    Mosquitto,
    TLSFiles,
    client_of,
    free_port,
    require,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from cl_client.compute_client import ComputeClient
    from cl_client.local.generations import Generation
    from cl_client.local.settings import BrokerChoice


_home_numbers = itertools.count(1)
_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Clean the environment before anything is collected or started; scale the limit of each test."""
    if (yunet := users_models().find("yunet")) is not None:  # in a folder that tests do not see
        os.environ.setdefault("CL_TEST_YUNET", str(yunet))
    clean_environment.clean()
    if config.getoption("timeout") is None and "PYTEST_TIMEOUT" not in os.environ:
        config.option.timeout = float(cast("str", config.getini("timeout"))) * patience.FACTOR


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep bytecode before test processes are started; pytest's cache is not there any sooner."""
    keep_bytecode(session.config)


def pytest_xdist_auto_num_workers() -> int:
    """Two processes for each core: half of the time most tests wait for a server or a command."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on a loop are checked for tasks as well: first set up, and so last torn down."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(cast("object", item.obj)):
            item.fixturenames.insert(item.fixturenames.index("no_leaks") + 1, "no_leaked_tasks")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell fixtures whether the test has failed."""
    report = yield
    item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="session", autouse=True)
def cheap_servers() -> Generator[None]:
    """Local servers fork their workers and hash passwords cheaply; a few tests ask for the real thing."""
    with forked_workers(), cheap_passwords():
        yield


@pytest.fixture(scope="session", autouse=True)
def home_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """What session-wide servers find in the home folder is nothing."""
    with clean_environment.with_home(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(autouse=True)
def home_of_a_test(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Each test begins with an empty home folder, and ends with the environment as it was."""
    with clean_environment.with_home(tmp_path_factory.getbasetemp() / "homes" / str(next(_home_numbers))):
        yield


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Generator[None]:
    """No test leaves a thread of the client, an open file or socket, or an unawaited coroutine behind."""
    threads = _mqtt_threads()
    opened = open_files()
    yield
    gc.collect()  # so that a "never awaited" is an error of the test that it belongs to
    gc.freeze()  # what is left, all modules among it, need not be looked through again after each test
    left = _mqtt_threads() - threads
    assert not left, f"threads left behind: {[*left.elements()]}"
    # A server that tests share closes its end of a connection a moment after the client did.
    # The traceback of a failed test keeps what its functions have opened.
    failed = cast("pytest.Item", request.node).stash.get(_FAILED, False)
    deadline = time.monotonic() + (0 if failed else patience.SECONDS)
    while (more := open_files() - opened) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert not more, f"left open: {more}"


def _mqtt_threads() -> Counter[str]:
    """By name, as a shared server that a test restarts has another thread of the same name."""
    return Counter(thread.name for thread in threading.enumerate() if thread.name.startswith("mqtt-"))


@pytest.fixture(autouse=True)
def kept_promises() -> Generator[None]:
    """Nobody who followed a job was told of its end twice, or of anything after it."""
    yield
    assert not (broken := broken_promises()), broken


@pytest.fixture
async def no_leaked_tasks() -> AsyncGenerator[None]:
    """No test on a loop leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
def local_server() -> Generator[Callable[..., LocalServer]]:
    """Makes local servers, and stops them after the test."""
    servers: list[LocalServer] = []

    def start(
        generation: Generation = "C", mqtt_url: str | None = None, workers: int = 1, port: int = 0
    ) -> LocalServer:
        server = LocalServer(
            generation=generation,
            mqtt_url=mqtt_url,
            workers=workers,
            port=port,
        )
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module", params=["mosquitto", "amqtt"])
def broker_choice(request: pytest.FixtureRequest) -> BrokerChoice:
    """Each of the embedded brokers in turn."""
    choice = cast("BrokerChoice", request.param)
    if choice == "mosquitto":
        require(choice)
    return choice


@pytest.fixture
def server_process(tmp_path: Path) -> Generator[ServerProcess]:
    """A server with one worker, which can be killed."""
    process = ServerProcess(tmp_path / "server")
    process.start()
    yield process
    process.kill()


@pytest.fixture
def make_client() -> Callable[..., ComputeClient]:
    return client_of


@pytest.fixture
def unused_port() -> int:
    return free_port()


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Generator[Callable[[str], Mosquitto]]:
    brokers: list[Mosquitto] = []

    def start(extra: str = "allow_anonymous true") -> Mosquitto:
        broker = Mosquitto(require("mosquitto"), tmp_path, extra)
        broker.start()
        brokers.append(broker)
        return broker

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Runs code in a fresh interpreter that takes warnings for errors, and gives all that it said."""

    def run(code: str) -> str:
        ended = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-W", "error", "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * patience.SECONDS,
            check=False,
        )
        return ended.stdout.strip()

    return run


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Mosquitto's passwords, with the user ``me`` whose password is ``pw``."""
    path = tmp_path / "passwords"
    subprocess.run([require("mosquitto_passwd"), "-b", "-c", str(path), "me", "pw"], check=True)  # noqa: S603 - fixed
    return path


@pytest.fixture
def tls_files(tmp_path: Path) -> TLSFiles:
    return TLSFiles.make(tmp_path)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options under short names: nothing else is tested here."""
    for short in ("--server-url", "--mqtt-url"):
        parser.addoption(short, dest=f"cl{short[1:].replace('-', '_')}", help=f"short for --cl{short[1:]}")
