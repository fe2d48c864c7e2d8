from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest

from cl_client import AuthenticationError, ComputeClient, ComputeClientConfig, PasswordAuthProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from subprocess import CompletedProcess, Popen
    from typing import TypeAlias

    from support import TLSFiles

    RunCLI: TypeAlias = Callable[..., CompletedProcess[str]]
    StartCLI: TypeAlias = Callable[..., AbstractContextManager[Popen[str]]]


def _read_description(process: Popen[str]) -> dict[str, str]:
    """What the server says of itself, up to the line that says that it is up."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        line = cast("str", process.stdout.readline())
        assert line, "the server ended before it was up"
        lines.append(line)
    words = [line.split(maxsplit=1) for line in lines[:-1]]
    return {pair[0]: pair[1].strip() for pair in words if len(pair) == 2}  # a long value goes on below


def _is_open(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send these signals to one other process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_server_serves_until_it_is_told_to_stop(
    start_cli: StartCLI, temp_folder: Path, number: signal.Signals
) -> None:
    with start_cli("server", "--port", "0", "--mqtt-port", "0", "--workers", "1") as process:
        said = _read_description(process)
        async with ComputeClient(said["HTTP"], mqtt_broker=said["MQTT"]) as client:
            assert (await client.health()).status == "healthy"
            job = await client.hash.compute(b"some bytes", wait=True, timeout=60)
            assert job.status == "completed"
        assert _is_open(said["MQTT"])
        process.send_signal(number)
        rest, errors = process.communicate()

    assert said["Workers"] == "1"
    assert {"exif", "hash", "image_conversion", "media_thumbnail"} <= set(said["Tasks"].split(", "))
    assert process.returncode == 0
    assert "has stopped" in rest
    assert not errors
    assert not _is_open(said["HTTP"])
    assert not _is_open(said["MQTT"])
    assert not list(temp_folder.iterdir())


def test_a_taken_port_is_named(run_cli: RunCLI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, port = cast("tuple[str, int]", taken.getsockname())
        shown = run_cli("server", "--port", str(port), "--mqtt-port", "0")

    assert shown.returncode == 1
    assert str(port) in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_an_unusable_broker_url_is_wrong_use(run_cli: RunCLI) -> None:
    shown = run_cli("server", "--port", "0", "--mqtt-url", "gopher://broker")

    assert shown.returncode == 2
    assert "gopher" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
async def test_a_server_behind_tls_that_asks_for_tokens(start_cli: StartCLI, tls_files: TLSFiles) -> None:
    files = ("--tls-cert", str(tls_files.server_cert), "--tls-key", str(tls_files.server_key))
    ports = ("--port", "0", "--auth-port", "0", "--mqtt-port", "0", "--workers", "1")
    with start_cli("server", *ports, "--auth", "--mqtt-auth", *files) as process:
        said = _read_description(process)
        config = ComputeClientConfig.create(
            base_url=said["HTTP"], mqtt_broker=said["MQTT"], ca_file=tls_files.ca, mqtt_use_token=True
        )
        async with ComputeClient(config=config) as nobody:
            with pytest.raises(AuthenticationError, match="Authentication required"):
                await nobody.get_job("j")
        provider = PasswordAuthProvider(said["Auth"], "admin", "admin", config=config)
        async with ComputeClient(config=config, auth_provider=provider) as client:
            assert await client.mqtt_monitor.wait_connected(20)
            assert (await client.hash.compute(b"x", wait=True, timeout=60)).status == "completed"
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert {urlsplit(said[name]).scheme for name in ("HTTP", "Auth")} == {"https"}
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--tls-cert", "missing.pem"), "--tls-cert and --tls-key"),
        (("--mqtt-auth",), "auth"),
    ],
)
def test_options_that_do_not_go_together(run_cli: RunCLI, options: tuple[str, ...], reason: str) -> None:
    shown = run_cli("server", "--port", "0", "--mqtt-port", "0", *options)
    assert shown.returncode == 2
    assert reason in shown.stderr
