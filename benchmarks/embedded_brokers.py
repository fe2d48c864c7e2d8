"""The embedded broker with Mosquitto and with amqtt, and Mosquitto alone: messages, processor time, start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

import psutil
from broker_checks import messages_per_second
from brokers import mosquitto
from figures import Figure

from cl_client.local import LocalServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from cl_client.local.settings import BrokerChoice
    from cl_client.models import JSONObject

_SUBSCRIBERS = (1, 10, 100)
_DELIVERIES = 10_000
_ALONE = "Mosquitto alone"

_SERVE = """
import asyncio, sys
from cl_client.local.broker.embedded import EmbeddedBroker
from cl_client.local.net.listener import bind_listener

async def main():
    listener = bind_listener("127.0.0.1", 0, "broker")
    broker = EmbeddedBroker(listener, choice=sys.argv[1])
    await broker.start()
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def _broker(kind: str) -> Generator[tuple[int, psutil.Process]]:
    """Run a broker; its port, and the process that it belongs to."""
    if kind == _ALONE:
        with mosquitto() as broker:
            (process,) = (it for it in psutil.Process().children() if it.name() == "mosquitto")
            yield broker.port, process
        return
    command = [sys.executable, "-c", _SERVE, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603 - our own
        try:
            yield int(cast("IO[str]", program.stdout).readline()), psutil.Process(program.pid)
        finally:
            program.kill()


def _processor_seconds(process: psutil.Process) -> float:
    times = [it.cpu_times() for it in (process, *process.children(recursive=True))]
    return sum(it.user + it.system for it in times)


def _turn(kind: str, subscribers: int) -> tuple[float, float]:
    """Deliveries per second, and microseconds of the broker's processor time for each."""
    messages = _DELIVERIES // subscribers
    with _broker(kind) as (port, process):
        before = _processor_seconds(process)
        rate = messages_per_second(port, 4, subscribers, messages)
        seconds = _processor_seconds(process) - before
    if not rate:
        raise RuntimeError(f"{kind} did not deliver all messages")
    return rate, seconds / (messages * subscribers) * 1e6


def _delivering(subscribers: int, turns: int) -> Figure:
    kinds = ("mosquitto", "amqtt", _ALONE)
    results = {kind: list[tuple[float, float]]() for kind in kinds}
    for _ in range(turns):
        for kind in kinds:
            results[kind].append(_turn(kind, subscribers))
    rates = {kind: statistics.median(rate for rate, _ in rows) for kind, rows in results.items()}
    costs = {kind: statistics.median(cost for _, cost in rows) for kind, rows in results.items()}
    details: JSONObject = {kind: f"{rates[kind]:,.0f}/s at {costs[kind]:.0f} us" for kind in kinds}
    ratio = costs["mosquitto"] / costs["amqtt"]
    return Figure(
        f"processor time per delivered message, embedded Mosquitto against amqtt, {subscribers} subscribers",
        ratio,
        "x",
        0.5,
        details=details,
    )


def _start_seconds(choice: BrokerChoice) -> float:
    begin = time.perf_counter()
    server = LocalServer(workers=1, broker=choice)
    server.start()
    seconds = time.perf_counter() - begin
    server.stop()
    return seconds


def _starting(turns: int) -> Figure:
    choices: tuple[BrokerChoice, BrokerChoice] = ("mosquitto", "amqtt")
    for choice in choices:  # imports
        _start_seconds(choice)
    rows = [[_start_seconds(choice) * 1000 for choice in choices] for _ in range(turns)]
    with_mosquitto, with_amqtt = (statistics.median(row[column] for row in rows) for column in range(2))
    return Figure(
        "start of a local server, with Mosquitto instead of amqtt",
        with_mosquitto - with_amqtt,
        "ms more",
        50,
        details={"Mosquitto": f"{with_mosquitto:.0f} ms", "amqtt": f"{with_amqtt:.0f} ms"},
    )


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures.
    """
    turns = 1 if quick else 5
    return [*(_delivering(subscribers, turns) for subscribers in _SUBSCRIBERS), _starting(4 * turns + 1)]
