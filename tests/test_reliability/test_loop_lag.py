"""No call of the library blocks the loop, however unreachable the broker is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.types import ConnectionOptions, ConnectionState
from patience import SECONDS, soon
from support import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cl_client import ComputeClient
    from cl_client.local import LocalServer

BEATS = 20


@pytest.fixture
def dropping_host() -> Generator[str]:
    """A host that answers no attempt to connect: its queue of connections is full, so it drops them."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)  # noqa: FBT003 - the socket's own interface
            caller.connect_ex(("127.0.0.1", port_of(listener)))
        yield f"127.0.0.1:{port_of(listener)}"


async def beats_while(still_so: Callable[[], bool]) -> int:
    """How often the loop went round while something was still so, until that was often enough."""
    beats = 0
    while still_so() and beats < BEATS:
        await asyncio.sleep(0.001)
        beats += still_so()
    return beats


async def test_a_host_that_drops_packets(dropping_host: str) -> None:
    connection = MQTTConnection(
        BrokerAddress.parse(dropping_host), options=ConnectionOptions(connect_timeout=2)
    )
    connection.start()
    await asyncio.sleep(0)  # the thread says that it is connecting, on the loop

    def connecting() -> bool:
        return connection.state in {ConnectionState.CONNECTING, ConnectionState.DISCONNECTED} and (
            connection.problem is None
        )

    # Blocked in the attempt, the loop would see nothing of it but its end.
    assert await beats_while(connecting) == BEATS
    closing = asyncio.create_task(connection.close())
    assert await beats_while(lambda: not closing.done()) == BEATS
    await closing


async def test_jobs_run_all_the_same(
    dropping_host: str, local_server: Callable[..., LocalServer], make_client: Callable[..., ComputeClient]
) -> None:
    server = local_server()
    for broker in (dropping_host, "no-such-host.invalid"):
        async with make_client(server, mqtt_broker=broker, mqtt_connect_timeout=1) as client:
            job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
            assert job.status == "completed"
            assert not client.mqtt_monitor.is_connected


async def test_a_name_that_takes_its_time_and_resolves_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, started = asyncio.Event(), threading.Event()
    outcomes: list[bool] = []

    def resolve(*_arguments: object, **_options: object) -> NoReturn:
        outcomes.append(started.wait(5))
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    def on_state(state: ConnectionState) -> None:
        if state is ConnectionState.DISCONNECTED:
            failed.set()

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    connection = MQTTConnection(BrokerAddress.parse("no-such-host.invalid"), on_state=on_state)
    connection.start()
    started.set()
    await soon(failed.wait())
    await connection.close()
    assert outcomes[0], "start() has waited for the name itself"
    assert connection.problem is not None
    assert "cannot connect" in connection.problem
