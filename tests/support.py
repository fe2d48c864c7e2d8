"""What tests share that is no fixture: clients, a real Mosquitto, and the like."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import itertools
import logging
import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, cast

import pytest
import trustme

from cl_client._mqtt.address import BrokerAddress
from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig
from cl_client.local.broker.publisher import Publisher
from cl_client.local.models.catalog import INCLUDED, MODELS
from patience import NEVER, SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from cl_client.local import LocalServer
    from cl_client.testing import StubServer
    from server_process import ServerProcess

# Longer than any test: what is read of a job is read because of an event, or of a worker's announcement.
NO_SLOW_READS: Final = {"poll_min": NEVER, "poll_interval": NEVER, "poll_interval_push": NEVER}


def require(program: str) -> str:
    """The program's path; skips where it is missing, and fails where nothing may be skipped."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    if found is None:
        skip(f"{program} is not installed")
    return found


def yunet_model() -> Path:
    """YuNet's file: the one that the variable ``CL_TEST_YUNET`` names, or else the included one."""
    named = os.environ.get("CL_TEST_YUNET")
    return Path(named) if named else MODELS["yunet"].path_in(INCLUDED)


def skip(reason: str) -> NoReturn:
    if os.environ.get("CL_TEST_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and nothing may be skipped here")
    pytest.skip(reason)


def client_of(server: LocalServer | ServerProcess, **settings: object) -> ComputeClient:
    """A client of a local server."""
    values = {"base_url": server.base_url, "mqtt_broker": server.mqtt_url}
    return ComputeClient(config=ComputeClientConfig.create(**{**values, **settings}))


def reading_eagerly(
    stub: StubServer, mqtt_broker: str = "off"
) -> contextlib.AbstractAsyncContextManager[ComputeClient]:
    """The stub, and a client of it that reads followed jobs all the time."""
    pauses = {"poll_min": 0.01, "poll_interval": 0.01, "poll_interval_push": 0.01}
    return stub.running(tls=None, mqtt_broker=mqtt_broker, max_retries=0, **pauses)


def port_of(listener: socket.socket) -> int:
    """The port that a socket is bound to."""
    return cast("tuple[str, int]", listener.getsockname())[1]


def free_port() -> int:
    """A port that nobody listens on, and that nobody is given who asks the system for any.

    It is below those that systems give out, in a range of this test process's own.
    """
    for port in _OWN_PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError  # there is always a next one


def _own_ports() -> Iterator[int]:
    count, first = 500, 16_000
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 30
    ports = range(first + worker * count, first + (worker + 1) * count)
    begin = secrets.randbelow(count)  # so that two test runs on one machine rarely meet, whatever their seed
    yield from itertools.cycle([*ports[begin:], *ports[:begin]])


_OWN_PORTS = _own_ports()


class Mosquitto:
    """A real broker that a test can stop, kill and start again on its port."""

    def __init__(self, program: str, folder: Path, extra: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._program = program
        # Started by root it would change to a user who may not read the test's files.
        as_user = "user root\n" if getpass.getuser() == "root" else ""
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"per_listener_settings true\n{as_user}listener {self.port} 127.0.0.1\n{extra}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the broker that the test asked for
            [self._program, "-c", str(self._config)], stderr=subprocess.DEVNULL
        )
        eventually(self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "mosquitto did not start"
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS).close()
            return True
        return False

    def stop(self) -> None:
        """End it as an administrator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal: to read its files again, or to stand still."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to say good-bye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.asynccontextmanager
async def publishing(broker_url: str) -> AsyncGenerator[Publisher]:
    """A publisher that is connected to a broker; at the end the broker has acknowledged everything."""
    publisher = Publisher(BrokerAddress.parse(broker_url))
    publisher.start()
    try:
        assert await publisher.wait_connected(SECONDS)
        yield publisher
        assert await publisher.flush(SECONDS)
    finally:
        await publisher.close()


@contextlib.contextmanager
def heard(logger: str, words: str) -> Generator[asyncio.Event]:
    """An event that is set when something with these words in it is logged on the loop."""

    def note(record: logging.LogRecord) -> bool:
        if words in record.getMessage():
            event.set()
        return True

    event = asyncio.Event()
    logging.getLogger(logger).addFilter(note)
    try:
        yield event
    finally:
        logging.getLogger(logger).removeFilter(note)


class Heart:
    """Counts how often the loop goes round."""

    def __init__(self) -> None:
        self.beats = 0

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            self.beats += 1


@dataclass(frozen=True)
class TLSFiles:
    """Certificates of an authority that only a test trusts."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path

    @classmethod
    def make(cls, folder: Path, host: str = "127.0.0.1") -> TLSFiles:
        """Write them into a folder."""
        authority = trustme.CA()
        files = cls(
            *(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key"))
        )
        authority.cert_pem.write_to_path(str(files.ca))
        for name, cert, key in (
            (host, files.server_cert, files.server_key),
            ("client", files.client_cert, files.client_key),
        ):
            leaf = authority.issue_cert(name)
            leaf.cert_chain_pems[0].write_to_path(str(cert))
            leaf.private_key_pem.write_to_path(str(key))
        return files

    @property
    def for_mosquitto(self) -> str:
        """The lines that put a listener behind TLS."""
        return f"cafile {self.ca}\ncertfile {self.server_cert}\nkeyfile {self.server_key}\n"
