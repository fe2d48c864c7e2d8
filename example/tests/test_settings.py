"""Settings: which source wins, what is refused, and what `cl-client config` shows of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cl_client import ConfigurationError
from cl_client_cli.frame.options import ConnectionOptions
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.settings.settings_file import FILE_NAME
from command_lines import json_objects

if TYPE_CHECKING:
    from command_lines import RunCLI


FILE = """
base_url = "http://top:1"
timeout = 5
auth_url = "http://auth:8000"
username = "me"

[profiles.home]
base_url = "http://home:2"
"""


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPUTE_SERVER_URL", "MQTT_BROKER_HOST", "CL_CLIENT_CONFIG", "CL_CLIENT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def _origin(connection: ConnectionOptions, name: str) -> tuple[str, str]:
    (found,) = [it for it in load_settings(connection).values if it.name == name]
    return found.value, found.origin


def test_defaults() -> None:
    settings = load_settings(ConnectionOptions())
    assert settings.is_default("base_url")
    assert (settings.auth_url, settings.username, settings.profile) == (None, None, None)


def test_flags_win_over_the_environment_and_that_over_files(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(FILE_NAME).write_text(FILE)
    path = Path(FILE_NAME).absolute()
    assert _origin(ConnectionOptions(), "base_url") == ("http://top:1", str(path))
    settings = load_settings(ConnectionOptions())
    assert (settings.auth_url, settings.username) == ("http://auth:8000", "me")
    assert settings.client.timeout == 5
    home = ConnectionOptions(profile="home")
    assert _origin(home, "base_url") == ("http://home:2", f"{path} [profiles.home]")
    assert _origin(home, "mqtt_broker") == ("mqtt://home:1883", "the host of base_url")
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://environment:3")
    assert _origin(home, "base_url") == ("http://environment:3", "environment COMPUTE_SERVER_URL")
    flag = ConnectionOptions(profile="home", server="http://flag:4")
    assert _origin(flag, "base_url") == ("http://flag:4", "flag --server")


def test_the_folder_wins_over_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = tmp_path / "config" / "cl-client" / FILE_NAME
    user.parent.mkdir(parents=True)
    user.write_text('base_url = "http://user:1"\ntimeout = 7\nprofile = "p"\n[profiles.p]\nmax_retries = 1\n')
    Path(FILE_NAME).write_text('base_url = "http://folder:1"\n')
    settings = load_settings(ConnectionOptions())
    assert settings.client.base_url == "http://folder:1"
    assert (settings.client.timeout, settings.client.max_retries, settings.profile) == (7, 1, "p")
    other = tmp_path / "other.yaml"
    other.write_text("base_url: http://other:1\n")
    monkeypatch.setenv("CL_CLIENT_CONFIG", str(other))
    assert load_settings(ConnectionOptions()).client.base_url == "http://other:1"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CL_CLIENT_CONFIG", "~/other.yaml")
    assert load_settings(ConnectionOptions()).client.base_url == "http://other:1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timeuot = 1", "did you mean timeout"),
        ("timeout = -1", "timeout: Input should be greater than 0 (from "),
        ('mqtt_password = "x"', "CL_CLIENT_MQTT_PASSWORD"),
        ('base_url = "http://me:secret@host"', "cl-client login"),
        ('token = "x"', "settings files must not contain secrets"),
        ('profiles = "x"', "must be sections"),
        ('[profiles.a]\npassword = "x"', "settings files must not contain secrets"),
        ("= 1", "cannot be read"),
        ('profile = "nope"', "profile 'nope' not found"),
    ],
)
def test_what_a_file_must_not_hold(text: str, words: str) -> None:
    Path(FILE_NAME).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(ConnectionOptions())
    assert words in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("name", ["nope.toml", "settings.ini", "list.yaml"])
def test_a_file_that_cannot_be(name: str) -> None:
    Path("settings.ini").write_text("")
    Path("list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigurationError, match=name):
        load_settings(ConnectionOptions(config=Path(name)))


def test_a_relative_path_counts_from_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "ca.pem").touch()
    (folder / "s.toml").write_text('ca_file = "ca.pem"\n[profiles.p]\nca_file = "../elsewhere/ca.pem"\n')
    for profile in (None, "p"):
        settings = load_settings(ConnectionOptions(config=folder / "s.toml", profile=profile))
        assert settings.client.ca_file is not None
        assert settings.client.ca_file.resolve() == folder / "ca.pem"


def test_all_that_is_given_goes_into_a_new_file(
    run_cli: RunCLI, work_folder: Path, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    (work_folder / "ca.pem").touch()
    made_at = tmp_path / "made" / "it.toml"
    cli_environment["CL_CLIENT_CONFIG"] = str(made_at)
    given = ("--user", "me", "--ca-file", "ca.pem", "--profile", "my home", "-s", "https://nas")
    assert run_cli("config", "init", *given).stdout == f"{made_at}\n"
    (told,) = [it for it in json_objects(run_cli("config", "show", "--json")) if it["name"] == "ca_file"]
    assert told == {
        "name": "ca_file",
        "value": str(work_folder / "ca.pem"),
        "origin": f"{made_at} [profiles.my home]",
    }


def test_the_commands(run_cli: RunCLI, work_folder: Path, cli_environment: dict[str, str]) -> None:
    made = run_cli("config", "init", "--server", "http://nas:8002")
    assert made.stdout == f"{work_folder / FILE_NAME}\n"
    again = run_cli("config", "init")
    assert (again.returncode, "already exists" in again.stderr) == (2, True)
    assert run_cli("config", "init", "--force", "--server", "http://nas:8002").returncode == 0
    cli_environment["CL_CLIENT_HTTP_PASSWORD"] = "swordfish"
    shown = run_cli("config", "show")
    assert "http://nas:8002" in shown.stdout
    assert "swordfish" not in shown.stdout
    told = json_objects(run_cli("config", "show", "--all", "--json"))
    by_name = {it["name"]: it for it in told}
    assert by_name["base_url"]["origin"] == str(work_folder / FILE_NAME)
    assert by_name["http_password"]["value"] == "***"
    assert by_name["timeout"]["origin"] == "default"
    paths = run_cli("config", "path").stdout.splitlines()
    assert paths[0].endswith("(not found)")
    assert paths[1] == str(work_folder / FILE_NAME)
    assert run_cli("config", "init", "--global").returncode == 0
    (work_folder / FILE_NAME).write_text("nope = 1")
    refused = run_cli("config", "show")
    assert (refused.returncode, "'nope'" in refused.stderr) == (2, True)


def test_nothing_is_set(run_cli: RunCLI) -> None:
    assert "All settings have their default values" in run_cli("config", "show").stderr
