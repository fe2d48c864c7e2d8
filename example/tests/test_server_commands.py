"""The commands about a server and its users."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final, cast
from uuid import uuid4

import pytest
from zeroconf import (
    DNSOutgoing,  # pyright: ignore[reportPrivateImportUsage] - no public class makes a message of its own
    DNSPointer,  # pyright: ignore[reportPrivateImportUsage] - alike
    ServiceInfo,
)
from zeroconf.asyncio import AsyncZeroconf

from cl_client import ComputeClientConfig
from cl_client.local import LocalServer
from cl_client_cli.server.announcements import (
    SERVICE_TYPE,
    find_servers,
    is_reachable_by_others,
    read_announcement,
)
from cl_client_cli.server.round_trip import round_trip_finding
from command_lines import json_objects, rest_of
from patience import SECONDS, eventually, within
from support import port_of, skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cl_client_cli.server.announcements import DiscoveredServer
    from command_lines import RunCLI, StartCLI

_AUTHORITATIVE_ANSWER, _PTR, _IN = 0x8400, 12, 1  # of DNS
_GROUP: Final = "224.0.0.251"
_MULTICAST_SECONDS: Final = 5.0


@pytest.mark.usefixtures("at_server")
def test_health_and_workers(run_cli: RunCLI) -> None:
    assert "healthy" in run_cli("health").stdout
    assert json_objects(run_cli("health", "--json"))[0]["status"] == "healthy"
    shown = run_cli("workers", "--json")
    (told,) = json_objects(shown)
    assert len(cast("list[object]", told["workers"])) == 2
    assert "idle" in run_cli("workers").stdout
    by_server = run_cli("workers", "--mqtt", "off")
    assert "media_thumbnail" in by_server.stdout
    assert "No workers are announced" in by_server.stderr
    assert run_cli("workers", "--watch", "--mqtt", "off").returncode == 3


def test_workers_that_announce_themselves_all_the_time(
    run_cli: RunCLI, cli_environment: dict[str, str]
) -> None:
    with LocalServer(workers=2, tasks=["hash"], heartbeat_interval=0.05) as server:
        cli_environment["COMPUTE_SERVER_URL"] = server.base_url
        cli_environment["MQTT_BROKER_HOST"] = server.mqtt_url
        (told,) = json_objects(run_cli("workers", "--json"))
    assert len(cast("list[object]", told["workers"])) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
@pytest.mark.usefixtures("at_server")
def test_workers_are_watched_until_ctrl_c(start_cli: StartCLI) -> None:
    with start_cli("workers", "--watch", "--json") as process:
        assert process.stdout is not None
        while not cast("dict[str, list[object]]", json.loads(process.stdout.readline()))["workers"]:
            pass
        process.send_signal(signal.SIGINT)
        rest_of(process)
    assert process.returncode == 130


def test_a_server_that_does_not_answer_in_time(run_cli: RunCLI, cli_environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = cast("tuple[str, int]", silent.getsockname())[1]
        cli_environment |= {"CL_CLIENT_TIMEOUT": "0.2", "CL_CLIENT_MAX_RETRIES": "0"}
        shown = run_cli("health", "--server", f"http://127.0.0.1:{port}", "--mqtt", "off")
    assert shown.returncode == 3
    assert "increase `timeout` (CL_CLIENT_TIMEOUT in the environment)" in shown.stderr


def test_admin(run_cli: RunCLI, cli_environment: dict[str, str]) -> None:
    with LocalServer(workers=1, tasks=["hash"]) as server:
        cli_environment["COMPUTE_SERVER_URL"] = server.base_url
        cli_environment["MQTT_BROKER_HOST"] = "off"
        assert run_cli("admin", "storage").stdout == "no jobs, 0 bytes\n"
        assert run_cli("hash", "compute", "-", stdin="x").returncode == 0
        assert run_cli("admin", "storage").stdout.startswith("1 job, ")
        refused = run_cli("admin", "cleanup")
        assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
        assert run_cli("admin", "cleanup", "--days", "0", "--yes").stdout.startswith("1 job deleted, ")
        assert "on" in run_cli("admin", "guest-mode").stdout


@pytest.fixture
def guarded(cli_environment: dict[str, str]) -> Iterator[LocalServer]:
    with LocalServer(auth=True, workers=1, tasks=["hash"], admin_password="opensesame") as server:
        cli_environment["COMPUTE_SERVER_URL"] = server.base_url
        cli_environment["CL_CLIENT_AUTH_URL"] = server.auth_url
        cli_environment["MQTT_BROKER_HOST"] = server.mqtt_url
        yield server


def _login_state(run_cli: RunCLI) -> object:
    """What the doctor says of the login."""
    (found,) = [it for it in json_objects(run_cli("doctor", "--json")) if it["check"] == "login"]
    return found["state"]


@pytest.mark.usefixtures("guarded")
def test_a_login_counts_until_the_logout(run_cli: RunCLI, cli_environment: dict[str, str]) -> None:
    assert run_cli("admin", "storage").returncode == 4
    assert run_cli("whoami").returncode == 4
    assert _login_state(run_cli) == "warning"
    wrong = run_cli("login", "admin", stdin="xyzzy-plugh\n")
    assert wrong.returncode == 4
    assert "xyzzy" not in wrong.stdout + wrong.stderr
    assert "To log in" not in wrong.stderr
    logged_in = run_cli("login", "admin", stdin="opensesame\n")
    assert logged_in.returncode == 0, logged_in.stderr
    assert "opensesame" not in logged_in.stdout + logged_in.stderr
    assert run_cli("admin", "storage").returncode == 0
    assert "all" in run_cli("whoami").stdout.split()
    assert _login_state(run_cli) == "ok"
    assert run_cli("logout").returncode == 0
    assert run_cli("admin", "storage").returncode == 4
    cli_environment["CL_CLIENT_PASSWORD"] = "opensesame"
    assert json_objects(run_cli("login", "--user", "admin", "--json"))[0]["username"] == "admin"


def test_login_needs_to_know(run_cli: RunCLI) -> None:
    nobody = run_cli("login", "--auth-url", "http://h:1")
    assert (nobody.returncode, "no user name given" in nobody.stderr) == (2, True)
    empty = run_cli("login", "me", "--auth-url", "http://h:1")
    assert (empty.returncode, "CL_CLIENT_PASSWORD" in empty.stderr) == (2, True)


@pytest.mark.usefixtures("at_server")
def test_doctor_finds_all_well(run_cli: RunCLI) -> None:
    shown = run_cli("doctor", "--json")
    assert shown.returncode == 0, shown.stdout
    found = {str(it["check"]): it for it in json_objects(shown)}
    names = ("server", "broker", "workers", "round trip")
    assert [found[name]["state"] for name in names] == ["ok", "ok", "ok", "ok"]
    assert "the broker reported its end" in str(found["round trip"]["message"])


async def test_a_round_trip_and_what_can_be_wrong_with_it(media_server: LocalServer) -> None:
    async with media_server.client() as client:
        before = (await client.admin.storage()).job_count
    config = ComputeClientConfig.create(base_url=media_server.base_url, mqtt_broker=media_server.mqtt_url)
    asked = await round_trip_finding(config.replace(mqtt_broker="off"), None, ["hash"], pushed=False)
    assert (asked.state, "polling found its end" in asked.message) == ("ok", True)
    not_tried = await round_trip_finding(config, None, ["exif"], pushed=True)
    assert (not_tried.state, "no worker serves hash" in not_tried.message) == ("warning", True)
    with LocalServer(workers=1, tasks=["hash"], auth=True) as other:
        wrong = config.replace(mqtt_broker=other.mqtt_url)
        unheard = await round_trip_finding(wrong, None, ["hash"], pushed=True, patience=1.0)
        elsewhere = config.replace(base_url=other.base_url)
        refused = await round_trip_finding(elsewhere, None, ["hash"], pushed=True)
    assert (unheard.state, "the broker did not report it" in unheard.message) == ("warning", True)
    assert (refused.state, refused.remedy) == ("problem", "cl-client login")
    gone = await round_trip_finding(elsewhere, None, ["hash"], pushed=False)
    assert gone.state == "problem"
    async with media_server.client() as client:
        assert (await client.admin.storage()).job_count == before  # nothing was left behind


def test_doctor_works_when_nothing_does(run_cli: RunCLI, unused_port: int) -> None:
    address = f"127.0.0.1:{unused_port}"
    shown = run_cli("doctor", "--server", f"http://{address}", "--mqtt", f"mqtt://{address}")
    assert shown.returncode == 3
    assert "problem  server" in shown.stdout
    nobody = run_cli(
        "doctor", "--server", f"http://{address}", "--mqtt", "off", "--auth-url", f"http://{address}"
    )
    assert "no settings file" in nobody.stdout


def test_announcements() -> None:
    records = {
        "compute_url": "http://localhost:8002",
        "mqtt_url": "mqtt://0.0.0.0:1883",
        "auth_url": "http://auth.example:8000",
        "desc": "Photos",
        "status": "unhealthy",
        "error": "worker",
    }
    server = read_announcement(f"nas.{SERVICE_TYPE}", "192.168.1.5", records)
    assert server is not None
    assert (server.name, server.compute_url, server.mqtt_url, server.auth_url, server.error) == (
        "nas",
        "http://192.168.1.5:8002",
        "mqtt://192.168.1.5:1883",
        "http://auth.example:8000",
        "worker",
    )
    by_six = read_announcement("x", "fe80::1", {"compute_url": "http://localhost:8002/api"})
    assert by_six is not None
    assert by_six.compute_url == "http://[fe80::1]:8002/api"
    assert read_announcement("printer", "192.168.1.6", {"path": "/"}) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1:8002",
        "http://localhost:many",
        "file:///etc/passwd",
        "http://",
        "http://me:pw@localhost",
        "x\x1b[2J",
        "http://a b",
        "mqtt://localhost:1883",
        "",
    ],
)
def test_an_announcement_may_hold_anything(url: str) -> None:
    assert read_announcement("it", "192.168.1.5", {"compute_url": url}) is None
    beside = read_announcement("it", "192.168.1.5", {"compute_url": "https://localhost", "auth_url": url})
    assert beside is not None
    assert (beside.compute_url, beside.auth_url) == ("https://192.168.1.5", None)


@pytest.mark.parametrize("host", ["192.168.1.5", "::", "nas"])
def test_who_can_be_reached_by_others(host: str) -> None:
    assert is_reachable_by_others(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_who_cannot_be_reached_by_others(host: str) -> None:
    assert not is_reachable_by_others(host)


@pytest.fixture(scope="module")
def multicast() -> None:
    """Whether this machine passes multicast on to itself, which is not the matter of these commands."""
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("", 0))
        receiver.settimeout(_MULTICAST_SECONDS)
        everywhere = socket.inet_aton("0.0.0.0")  # noqa: S104 - multicast, not bound
        try:
            receiver.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(_GROUP) + everywhere
            )
            sender.sendto(b"hello", (_GROUP, port_of(receiver)))
            receiver.recv(5)
        except OSError as exc:
            skip(f"this machine does not pass multicast on to itself ({exc})")


def _announced_urls(run_cli: RunCLI, *options: str) -> list[object]:
    """Where the servers are that announce themselves; beside the tests' own there may be others."""
    return [it["compute_url"] for it in json_objects(run_cli("discover", *options, "--json"))]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
@pytest.mark.usefixtures("multicast")
def test_a_local_server_announces_itself(run_cli: RunCLI, start_cli: StartCLI) -> None:
    ports = ("--port", "0", "--mqtt-port", "0", "--workers", "1")
    with start_cli("server", *ports, "--announce", "--json") as process:
        assert process.stdout is not None
        told = cast("dict[str, str]", json.loads(process.stdout.readline()))
        eventually(lambda: told["base_url"] in _announced_urls(run_cli))
        process.send_signal(signal.SIGINT)
        assert "announced on the network" in rest_of(process)[1]
    assert told["base_url"] not in _announced_urls(run_cli)


def _http_service(name: str, **properties: str) -> ServiceInfo:
    return ServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        addresses=[bytes((127, 0, 0, 1))],
        port=8080,
        properties=dict(properties),
    )


async def _found_beside_others(name: str) -> list[DiscoveredServer]:
    """What is found when it is among it; searches end early, as other tests' servers may answer."""
    async with within():
        while True:
            found = await find_servers(SECONDS, None)
            if any(it.name == name for it in found):
                return found


@pytest.mark.usefixtures("multicast")
async def test_a_server_is_found(run_cli: RunCLI) -> None:
    name = f"CL Server {uuid4()}"
    info = _http_service(name, compute_url="http://localhost:8002")
    async with AsyncZeroconf() as network:
        await (await network.async_register_service(info))  # pyright: ignore[reportUnknownMemberType] - Awaitable without its result
        found = {it.name: it.compute_url for it in await _found_beside_others(name)}
        assert found[name] == "http://127.0.0.1:8002"

        def told() -> dict[object, object]:
            shown = run_cli("discover", "--json")
            return {it["name"]: it["compute_url"] for it in json_objects(shown)}

        await asyncio.to_thread(eventually, lambda: told().get(name) == found[name])
        await asyncio.to_thread(eventually, lambda: name in run_cli("discover").stdout)
        await (await network.async_unregister_service(info))  # pyright: ignore[reportUnknownMemberType] - alike
    nobody = run_cli("discover", "--timeout", "0.1", "--interface", "127.0.0.1")
    assert (nobody.returncode, "No server" in nobody.stderr) == (1, True)
    assert "try --timeout 5" in nobody.stderr


@pytest.mark.usefixtures("multicast")
async def test_a_server_that_is_announced_during_the_search_is_found() -> None:
    """Others do not end the search: neither services of other kinds nor names that are no services."""
    name = f"CL Server {uuid4()}"
    printer = _http_service(f"Printer {uuid4()}", path="/")
    stranger = DNSPointer(SERVICE_TYPE, _PTR, _IN, 120, "Somebody._ipp._tcp.local.")
    async with AsyncZeroconf() as network:
        await (await network.async_register_service(printer))  # pyright: ignore[reportUnknownMemberType] - Awaitable without its result
        search = asyncio.create_task(_found_beside_others(name))
        server = _http_service(name, compute_url="http://localhost:8002", status="unhealthy", error="no disk")
        await (await network.async_register_service(server))  # pyright: ignore[reportUnknownMemberType] - alike
        answer = DNSOutgoing(_AUTHORITATIVE_ANSWER)
        answer.add_answer_at_time(stranger, 0)
        network.zeroconf.async_send(answer)
        (found,) = [it for it in await search if it.name == name]
        assert found.error == "no disk"
