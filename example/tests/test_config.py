"""Settings at their edges: secrets, origins, profiles in two files, and files that cannot be read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cl_client import ConfigurationError
from cl_client_cli.frame.options import ConnectionOptions
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.settings.settings_file import FILE_NAME

if TYPE_CHECKING:
    from command_lines import RunCLI

NAMES_AND_VALUES = "the file must contain names of settings and their values"


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPUTE_SERVER_URL", "MQTT_BROKER_HOST", "CL_CLIENT_CONFIG", "CL_CLIENT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(
        "cl_client_cli.settings.settings_file.user_file", lambda: tmp_path / "user" / FILE_NAME
    )
    monkeypatch.chdir(tmp_path)


def _shown(connection: ConnectionOptions, name: str) -> tuple[str, str]:
    (found,) = [it for it in load_settings(connection).values if it.name == name]
    return found.value, found.origin


def _refusal(name: str, text: str, connection: ConnectionOptions | None = None) -> str:
    Path(name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(connection or ConnectionOptions(config=Path(name)))
    return str(caught.value)


@pytest.mark.parametrize("variable", ["COMPUTE_SERVER_URL", "CL_CLIENT_BASE_URL"])
def test_both_variables_of_a_setting_win_over_a_file(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(FILE_NAME).write_text('base_url = "http://file:1"\n', encoding="utf-8")
    monkeypatch.setenv(variable, "http://environment:2")
    settings = load_settings(ConnectionOptions())
    assert settings.client.base_url == "http://environment:2"
    assert str(settings.client.mqtt_address) == "mqtt://environment:1883"
    assert _shown(ConnectionOptions(), "base_url")[1] == f"environment {variable}"
    assert load_settings(ConnectionOptions(server="http://flag:3")).client.base_url == "http://flag:3"


def test_a_profile_wins_over_the_top_of_every_file(tmp_path: Path) -> None:
    user = tmp_path / "user" / FILE_NAME
    user.parent.mkdir()
    user.write_text('[profiles.home]\nbase_url = "http://home:1"\n', encoding="utf-8")
    Path(FILE_NAME).write_text('base_url = "http://folder:1"\n', encoding="utf-8")
    assert _shown(ConnectionOptions(), "base_url")[0] == "http://folder:1"
    assert _shown(ConnectionOptions(profile="home"), "base_url") == (
        "http://home:1",
        f"{user} [profiles.home]",
    )


def test_null_stands_for_not_configured() -> None:
    Path("a.yaml").write_text(
        "timeout: 3\nbase_url: http://a:1\nprofiles: {p: {timeout: null}}\n", encoding="utf-8"
    )
    assert _shown(ConnectionOptions(config=Path("a.yaml"), profile="p"), "timeout") == ("30.0", "default")


def test_a_broker_on_a_host_that_is_an_ipv6_address() -> None:
    assert _shown(ConnectionOptions(server="http://[::1]:8002"), "mqtt_broker")[0] == "mqtt://[::1]:1883"


@pytest.mark.parametrize("url", ["http://[bad", "nas:8002", "http://"])
def test_a_server_without_a_host(url: str) -> None:
    with pytest.raises(ConfigurationError, match="flag --server"):
        load_settings(ConnectionOptions(server=url))


def test_a_password_of_the_environment_is_for_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://nas:1")
    monkeypatch.setenv("CL_CLIENT_HTTP_PASSWORD", "swordfish")
    variable = "environment CL_CLIENT_HTTP_PASSWORD"
    assert _shown(ConnectionOptions(server="http://NAS:1/"), "http_password") == ("***", variable)
    for connection in (ConnectionOptions(server="http://other"), ConnectionOptions(server="https://nas:1")):
        assert load_settings(connection).client.http_password is None
        left_out = f"{variable}, ignored: set for another server"
        assert _shown(connection, "http_password") == ("", left_out)


def test_logins_in_urls_are_masked_and_their_origin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://anna:swordfish@nas:1")
    monkeypatch.setenv("CL_CLIENT_AUTH_URL", "http://anna:swordfish@nas:2")
    settings = load_settings(ConnectionOptions())
    assert settings.auth_url == "http://anna:swordfish@nas:2"
    assert "swordfish" not in repr(settings.values)
    assert _shown(ConnectionOptions(), "http_password") == ("***", "environment COMPUTE_SERVER_URL")
    assert _shown(ConnectionOptions(), "mqtt_password") == ("", "default")


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('base_url = "http://u:swordfish@h"', "COMPUTE_SERVER_URL"),
        ('base_url = "http://u:swordfish@[h"', "COMPUTE_SERVER_URL"),
        ('mqtt_broker = "u:swordfish@h"', "MQTT_BROKER_HOST"),
        ('proxy = "http://u:swordfish@h"', "CL_CLIENT_PROXY"),
        ('http-password = "swordfish"', "CL_CLIENT_HTTP_PASSWORD"),
        ('API_TOKEN = "swordfish"', "cl-client login"),
        ('[extra_headers]\nX = "swordfish"', "CL_CLIENT_EXTRA_HEADERS"),
    ],
)
def test_a_refused_secret_has_a_variable(text: str, variable: str) -> None:
    refusal = _refusal("a.toml", text)
    assert "settings files must not contain secrets" in refusal
    assert variable in refusal
    assert "swordfish" not in refusal


def test_a_setting_named_like_a_secret_is_none() -> None:
    Path("a.toml").write_text("mqtt_use_token = true\n", encoding="utf-8")
    assert load_settings(ConnectionOptions(config=Path("a.toml"))).client.mqtt_use_token


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "8: x\n", f"a.yaml: {NAMES_AND_VALUES}"),
        (
            "a.yaml",
            "timeout: 2020-01-01\n",
            f"a.yaml: {NAMES_AND_VALUES}",
        ),
        (
            "a.toml",
            "timeout = 2020-01-01\n",
            f"a.toml: {NAMES_AND_VALUES}",
        ),
        ("a.toml", "[profile.home]\ntimeout = 3\n", "the sections of profiles are [profiles.NAME]"),
        ("a.toml", "username = 5\n", "a.toml: username must be a string"),
        ("a.toml", '[profiles.a]\nprofile = "b"\n', "a.toml [profiles.a]: profile cannot be set"),
        ("a.toml", "[profiles.a]\ntimeuot = 1\n", "a.toml [profiles.a]: unknown setting 'timeuot'"),
        (
            "a.toml",
            'profile = "hoem"\n[profiles.home]\n',
            "a.toml: profile 'hoem' not found; did you mean home?",
        ),
        ("a.yaml", "password: {swordfish: [\n  b: }\n", "a.yaml: cannot be read: line 2"),
    ],
)
def test_what_is_wrong_is_named(name: str, text: str, words: str) -> None:
    refusal = _refusal(name, text)
    assert words in refusal
    assert "swordfish" not in refusal


def test_only_the_setting_that_is_wrong_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_CLIENT_TIMEOUT", "4")
    refusal = _refusal("a.toml", "connect_timeout = -1\n")
    assert refusal.endswith("(from a.toml)")
    monkeypatch.setenv("CL_CLIENT_EXTRA_HEADERS", "{swordfish")
    with pytest.raises(ConfigurationError, match="environment CL_CLIENT_EXTRA_HEADERS") as caught:
        load_settings(ConnectionOptions())
    assert "swordfish" not in str(caught.value)


def test_a_file_with_a_byte_order_mark() -> None:
    Path("a.toml").write_text("timeout = 3\n", encoding="utf-8-sig")
    assert load_settings(ConnectionOptions(config=Path("a.toml"))).client.timeout == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--server", "http://u:swordfish@nas"], "settings files must not contain secrets"),
        (["--server", "nas"], "the URL must start with http:// or https://"),
        (["--config", "a.yaml"], "ends in .toml"),
    ],
)
def test_init_writes_nothing_that_show_would_refuse(
    arguments: list[str], words: str, run_cli: RunCLI, work_folder: Path
) -> None:
    made = run_cli("config", "init", *arguments)
    assert made.returncode == 2
    assert words in made.stderr
    assert "swordfish" not in made.stderr
    assert "Traceback" not in made.stderr
    assert list(work_folder.iterdir()) == []


def test_init_writes_any_text_as_it_is(run_cli: RunCLI, work_folder: Path) -> None:
    url = "http://n\U0001f600s:8002"
    assert run_cli("config", "init", "--auth-url", url).returncode == 0
    assert tomllib.loads((work_folder / FILE_NAME).read_text(encoding="utf-8")) == {"auth_url": url}


def test_show_ends_without_a_traceback(run_cli: RunCLI) -> None:
    shown = run_cli("config", "show", "--server", "http://[bad")
    assert (shown.returncode, "Traceback" in shown.stderr) == (2, False)
