"""A login is shown to the servers that it was made for, and to no other, whoever names that."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import Session
from cl_client._auth.models import Token
from cl_client._auth.token_store import TokenStore
from cl_client.local import LocalServer
from cl_client_cli.frame.logins import entrust, load_login
from cl_client_cli.frame.options import ConnectionOptions
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.settings.settings_file import FILE_NAME
from command_lines import json_objects
from keyrings import MemoryKeyring, using

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from command_lines import RunCLI

AUTH_URL = "http://auth:8000"


class Stranger(ThreadingHTTPServer):
    """A server that asks everybody for a login, and notes what it is shown."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refusal)
        self.shown: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Refusal(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Stranger)
        self.server.shown.append(self.headers["Authorization"])
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def at_home(cli_environment: dict[str, str], run_cli: RunCLI) -> Iterator[str]:
    """The address of a server that asks for a login, and for which there is one; both services are set."""
    with LocalServer(auth=True, workers=1, tasks=["hash"], admin_password="opensesame") as server:
        cli_environment["CL_CLIENT_AUTH_URL"] = server.auth_url
        cli_environment["CL_CLIENT_PASSWORD"] = "opensesame"
        cli_environment["MQTT_BROKER_HOST"] = "off"
        logged_in = run_cli("login", "admin", "--server", server.base_url)
        assert (logged_in.returncode, server.base_url in logged_in.stdout) == (0, True), logged_in.stderr
        yield server.base_url


def test_a_folder_does_not_get_the_login_by_naming_a_server(
    at_home: str, stranger: Stranger, run_cli: RunCLI, work_folder: Path
) -> None:
    assert run_cli("admin", "storage", "--server", at_home).returncode == 0
    (work_folder / FILE_NAME).write_text(f'base_url = "{stranger.url}"\n')
    refused = run_cli("admin", "storage")
    assert refused.returncode == 4
    assert f"is not sent to {stranger.url}, because you did not log in for it" in refused.stderr
    assert f"--server {stranger.url}" in refused.stderr
    by_flag = run_cli("admin", "storage", "--server", stranger.url)
    assert (by_flag.returncode, "is not sent to" in by_flag.stderr) == (4, True)
    (found,) = [it for it in json_objects(run_cli("doctor", "--json")) if it["check"] == "login"]
    assert (found["state"], "is not sent to" in str(found["message"])) == ("warning", True)
    who = run_cli("whoami")
    assert (who.returncode, "all" in who.stdout.split(), "is not sent to" in who.stderr) == (0, True, True)
    assert stranger.shown
    assert {*stranger.shown} == {None}
    at_home_again = run_cli("whoami", "--server", f"{at_home}/", "--json")
    assert [it["is_for_server"] for it in json_objects(at_home_again)] == [True]


def test_a_login_for_the_server_at_a_service_that_is_not_named(
    at_home: str, run_cli: RunCLI, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    (work_folder / "a.txt").write_text("a")
    auth_url = cli_environment.pop("CL_CLIENT_AUTH_URL")
    refused = run_cli("hash", "compute", "a.txt", "--server", at_home)
    assert refused.returncode == 4
    assert f"admin is logged in for this server at {auth_url}: add --auth-url {auth_url}" in refused.stderr
    assert run_cli("hash", "compute", "a.txt", "--server", at_home, "--auth-url", auth_url).returncode == 0


def test_a_second_login_adds_its_server(
    at_home: str, stranger: Stranger, run_cli: RunCLI, work_folder: Path
) -> None:
    (work_folder / FILE_NAME).write_text(f'base_url = "{stranger.url}"\n')
    added = run_cli("login", "admin")
    assert (added.returncode, f"from the {FILE_NAME} in this folder" in added.stderr) == (0, True)
    trusted = run_cli("admin", "storage")
    assert (trusted.returncode, "is not sent to" in trusted.stderr) == (4, False)
    assert str(stranger.shown[-1]).startswith("Bearer ")
    assert run_cli("admin", "storage", "--server", at_home).returncode == 0
    assert run_cli("logout").returncode == 0
    assert run_cli("login", "admin").returncode == 0
    assert run_cli("admin", "storage", "--server", at_home).returncode == 4


def test_a_login_of_an_older_version_is_for_no_server(
    at_home: str, run_cli: RunCLI, cli_environment: dict[str, str]
) -> None:
    Path(cli_environment["CL_CLIENT_DATA_DIR"], "logins.sqlite").unlink()
    refused = run_cli("admin", "storage", "--server", at_home)
    assert (refused.returncode, "cl-client login" in refused.stderr) == (4, True)
    assert run_cli("login", "admin", "--server", at_home).returncode == 0
    assert run_cli("admin", "storage", "--server", at_home).returncode == 0


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Session]:
    """A login that was kept, in a folder without settings."""
    for name in ("COMPUTE_SERVER_URL", "MQTT_BROKER_HOST", "CL_CLIENT_CONFIG", "CL_CLIENT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CL_CLIENT_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    with using(MemoryKeyring()):
        token = Token.model_validate({"access_token": "t0ken", "received_at": 0.0, "lifetime": 1.0})
        await TokenStore().save(AUTH_URL, "me", token, log_in=True)
        yield await Session.load(AUTH_URL)


async def _is_for(server: str, auth_url: str = AUTH_URL) -> bool:
    settings = load_settings(ConnectionOptions(server=server))
    return (await load_login(settings, auth_url)).is_for_server


async def test_a_server_is_known_in_every_spelling(session: Session) -> None:
    entrust(session, load_settings(ConnectionOptions(server="https://nas")))
    for spelling in ("https://nas/", "https://NAS:443", "https://nas:443/api"):
        assert await _is_for(spelling)
    for other in ("http://nas", "https://nas:8443", "https://nas.example", "http://nas:443"):
        assert not await _is_for(other)
    assert await _is_for("https://nas", "http://AUTH:8000/")


@pytest.mark.parametrize(
    "line",
    [
        'proxy = "http://stranger:3128"',
        "insecure_skip_verify = true",
        'ca_file = "own.pem"',
        'mqtt_use_token = true\nmqtt_broker = "mqtt://stranger"',
    ],
)
async def test_the_folder_does_not_choose_the_way_either(session: Session, line: str) -> None:
    Path("own.pem").touch()
    entrust(session, load_settings(ConnectionOptions(server="https://nas")))
    Path("mine.toml").write_text(line)
    mine = load_settings(ConnectionOptions(server="https://nas", config=Path("mine.toml")))
    assert (await load_login(mine, AUTH_URL)).is_for_server
    Path(FILE_NAME).write_text(line)
    kept_back = await load_login(load_settings(ConnectionOptions(server="https://nas")), AUTH_URL)
    assert not kept_back.is_for_server
    assert f"with {line.partition(' ')[0]}" in kept_back.doubts
    entrust(session, load_settings(ConnectionOptions(server="https://nas")))
    assert await _is_for("https://nas")
