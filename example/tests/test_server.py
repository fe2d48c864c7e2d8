from __future__ import annotations

import io
import json
import signal
import socket
import sys
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest
from PIL import Image

from cl_client import AuthenticationError, ComputeClient, ComputeClientConfig, PasswordAuthProvider
from command_lines import rest_of, said_until
from patience import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI, RunningCommand, StartCLI
    from support import TLSFiles


def _transparent() -> bytes:
    picture = io.BytesIO()
    Image.new("LA", (8, 8)).save(picture, "PNG")
    return picture.getvalue()


TRANSPARENT = _transparent()


def _addresses(process: RunningCommand) -> dict[str, str]:
    """Where the server is, which it says when it is up."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the server ended before it was up"
    return cast("dict[str, str]", json.loads(line))


def _is_open(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send these signals to one other process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_server_serves_until_it_is_told_to_stop(
    start_cli: StartCLI, temp_folder: Path, number: signal.Signals
) -> None:
    with start_cli("server", "--port", "0", "--mqtt-port", "0", "--workers", "1", "--json") as process:
        said = _addresses(process)
        async with ComputeClient(said["base_url"], mqtt_broker=said["mqtt_url"]) as client:
            assert (await client.health()).status == "healthy"
            job = await client.hash.compute(b"some bytes", wait=True, timeout=SECONDS)
            assert job.status == "completed"
        assert _is_open(said["mqtt_url"])
        process.send_signal(number)
        rest, errors = rest_of(process)

    assert said["workers"] == 1
    assert {"exif", "hash", "image_conversion", "media_thumbnail"} <= set(said["tasks"])
    assert process.returncode == 0
    assert errors.splitlines() == ["Press Ctrl-C to stop.", "The server has stopped."]
    assert not rest
    assert not _is_open(said["base_url"])
    assert not _is_open(said["mqtt_url"])
    assert not list(temp_folder.iterdir())


async def test_a_server_like_a_real_one(start_cli: StartCLI) -> None:
    options = ("--generation", "A", "--real-faults", "--poll-interval", "0.2")
    with start_cli(
        "server", "--port", "0", "--mqtt-port", "0", "--workers", "1", *options, "--json"
    ) as process:
        said = _addresses(process)
        async with ComputeClient(said["base_url"], mqtt_broker=said["mqtt_url"]) as client:
            assert (await client.health()).guest_mode is None
            job = await client.media_thumbnail.generate(TRANSPARENT, wait=True, timeout=SECONDS)
        process.kill()
        rest_of(process)
    assert job.error_message == "cannot write mode LA as JPEG"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
def test_what_the_server_says_of_itself(start_cli: StartCLI) -> None:
    with start_cli("server", "--port", "0", "--mqtt-port", "0", "--workers", "1", "--auth") as process:
        assert said_until(process, "Ctrl-C") == "Press Ctrl-C to stop.\n"
        process.send_signal(signal.SIGINT)
        said = rest_of(process)[0]
    for name in (
        "HTTP",
        "Auth",
        "MQTT",
        "Broker",
        "Workers    1",
        "Tasks",
        "Data",
        "(temporary)",
        "PasswordAuthProvider",
    ):
        assert name in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
def test_the_server_tells_more_when_it_is_asked_to(start_cli: StartCLI) -> None:
    with start_cli("server", "--port", "0", "--mqtt-port", "0", "--workers", "1", "-vv") as process:
        said_until(process, "DEBUG: ")
        process.send_signal(signal.SIGINT)
        rest_of(process)
    assert process.returncode == 0


def test_a_server_without_a_network_is_not_announced(
    start_cli_process: StartCLI, without_network: list[str]
) -> None:
    ports = ("--port", "0", "--mqtt-port", "0", "--workers", "1")
    with start_cli_process("server", "--host", "0.0.0.0", *ports, before=without_network) as process:  # noqa: S104 - on purpose
        said_until(process, "The server is not announced on the network: this machine has no network address")
        said_until(process, "Press Ctrl-C to stop.")
        process.send_signal(signal.SIGINT)
        rest_of(process)
    assert process.returncode == 0


def test_an_announcement_that_is_wanted_has_to_be_possible(
    run_cli_process: RunCLI, without_network: list[str]
) -> None:
    ports = ("--port", "0", "--mqtt-port", "0", "--workers", "1")
    wanted = run_cli_process("server", "--announce", "--host", "0.0.0.0", *ports, before=without_network)  # noqa: S104 - on purpose
    assert (wanted.returncode, "this machine has no network address" in wanted.stderr) == (1, True)
    nobody = run_cli_process("discover", before=without_network)
    assert (nobody.returncode, "no network interface found" in nobody.stderr) == (1, True)


def test_a_taken_port_is_named(run_cli: RunCLI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, port = cast("tuple[str, int]", taken.getsockname())
        shown = run_cli("server", "--port", str(port), "--mqtt-port", "0")

    assert shown.returncode == 1
    assert str(port) in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
async def test_a_server_behind_tls_that_asks_for_tokens(start_cli: StartCLI, tls_files: TLSFiles) -> None:
    files = ("--tls-cert", str(tls_files.server_cert), "--tls-key", str(tls_files.server_key))
    ports = ("--port", "0", "--auth-port", "0", "--mqtt-port", "0", "--workers", "1")
    with start_cli("server", *ports, "--auth", "--mqtt-auth", "--json", *files) as process:
        said = _addresses(process)
        config = ComputeClientConfig.create(
            base_url=said["base_url"], mqtt_broker=said["mqtt_url"], ca_file=tls_files.ca, mqtt_use_token=True
        )
        async with ComputeClient(config=config) as nobody:
            with pytest.raises(AuthenticationError, match="Authentication required"):
                await nobody.get_job("j")
        provider = PasswordAuthProvider(said["auth_url"], "admin", "admin", config=config)
        async with ComputeClient(config=config, auth_provider=provider) as client:
            assert await client.mqtt_monitor.wait_connected(SECONDS)
            assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
        process.send_signal(signal.SIGINT)
        rest_of(process)
    assert {urlsplit(said[name]).scheme for name in ("base_url", "auth_url")} == {"https"}
    assert process.returncode == 0
