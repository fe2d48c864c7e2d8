"""A secret in the settings is for the server that it was set with: same scheme, host and port."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from cl_client import ComputeClient, ComputeClientConfig
from cl_client._auth.http import auth_config

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {
    "http_username": "me",
    "http_password": "http-pw",
    "extra_headers": {"X-Key": "key"},
    "mqtt_username": "me",
    "mqtt_password": "mqtt-pw",
    "mqtt_use_token": True,
}
OF_SERVER = ["extra_headers", "http_password", "http_username"]
OF_BROKER = ["mqtt_password", "mqtt_use_token", "mqtt_username"]


def kept(config: ComputeClientConfig) -> list[str]:
    """The secrets that a config has."""
    return sorted(name for name in SECRETS if cast("object", getattr(config, name)))


@pytest.mark.parametrize(
    ("base_url", "same"),
    [
        ("http://nas:80", ["http://nas", "http://nas/", "http://NAS:80", "http://nas/below/it"]),
        ("https://nas", ["https://nas:443/", "https://Nas"]),
        ("http://[::1]:8002", ["http://[::1]:8002/api"]),
    ],
)
def test_the_same_server_keeps_every_secret(base_url: str, same: list[str]) -> None:
    config = ComputeClientConfig.create(base_url=base_url, **SECRETS)
    for url in same:
        assert kept(config.replace(base_url=url)) == sorted(SECRETS)


@pytest.mark.parametrize(
    ("base_url", "left"),
    [
        ("https://nas", OF_BROKER),  # whose address is the host's: the same one
        ("http://nas:8002", OF_BROKER),
        ("http://other", []),
        ("http://nas.", []),
    ],
)
def test_another_server_gets_none(base_url: str, left: list[str]) -> None:
    config = ComputeClientConfig.create(base_url="http://nas", proxy="http://me:pw@proxy", **SECRETS)
    moved = config.replace(base_url=base_url)
    assert kept(moved) == left
    assert kept(moved.replace(base_url="http://nas")) == left
    assert moved.proxy == config.proxy
    assert kept(ComputeClient(base_url, config=config).config) == left


def test_what_is_given_in_the_same_call_is_for_the_new_server() -> None:
    config = ComputeClientConfig.create(base_url="http://nas", **SECRETS)
    assert kept(config.replace(base_url="http://other", **SECRETS)) == sorted(SECRETS)
    assert kept(config.replace(base_url="http://a:b@other")) == ["http_password", "http_username"]
    headers = config.replace(base_url="http://other", extra_headers={"X-Other": "1"}).extra_headers
    assert list(headers) == ["X-Other"]
    assert kept(config.replace(COMPUTE_SERVER_URL="http://other")) == []


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"mqtt_broker": "NAS"}, sorted(SECRETS)),
        ({"mqtt_broker": "mqtt://nas:1883"}, sorted(SECRETS)),
        ({"mqtt_port": 1883}, sorted(SECRETS)),
        ({"mqtt_port": 1884}, OF_SERVER),
        ({"mqtt_broker": "mqtts://nas:1883"}, OF_SERVER),
        ({"mqtt_broker": "other"}, OF_SERVER),
        ({"mqtt_broker": "off"}, OF_SERVER),
        ({"mqtt_broker": "mqtt://a:b@other"}, [*OF_SERVER, "mqtt_password", "mqtt_username"]),
        ({"mqtt_broker": "other", "mqtt_use_token": True}, [*OF_SERVER, "mqtt_use_token"]),
        ({"base_url": "http://other", "mqtt_broker": "nas"}, OF_BROKER),
    ],
)
def test_the_broker_has_an_address_of_its_own(change: dict[str, object], left: list[str]) -> None:
    config = ComputeClientConfig.create(base_url="http://nas", **SECRETS)
    assert kept(config.replace(**change)) == left


def test_a_broker_with_an_address_keeps_its_login_when_the_server_moves() -> None:
    config = ComputeClientConfig.create(base_url="http://nas", mqtt_broker="broker", **SECRETS)
    assert kept(config.replace(base_url="http://other")) == OF_BROKER


def test_secrets_without_an_address_are_for_the_first_one_that_is_named() -> None:
    unbound = ComputeClientConfig.create(**SECRETS)
    bound = unbound.replace(base_url="http://nas")
    assert kept(bound) == sorted(SECRETS)
    assert kept(bound.replace(base_url="http://other")) == []
    off = ComputeClientConfig.create(base_url="http://nas", **SECRETS).replace(mqtt_broker="off")
    assert kept(off.replace(mqtt_broker="other")) == OF_SERVER


def test_secrets_of_the_environment_are_for_its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_CLIENT_HTTP_USERNAME", "me")
    monkeypatch.setenv("CL_CLIENT_HTTP_PASSWORD", "pw")
    monkeypatch.setenv("CL_CLIENT_EXTRA_HEADERS", '{"X-Key": "key"}')
    monkeypatch.setenv("CL_CLIENT_MQTT_PASSWORD", "pw")
    everything = [*OF_SERVER, "mqtt_password"]
    assert kept(ComputeClient("http://any").config) == everything
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://nas:8002")
    assert kept(ComputeClientConfig()) == kept(ComputeClient("http://nas:8002/").config) == everything
    assert kept(ComputeClient("http://other").config) == []
    assert kept(ComputeClientConfig(base_url="http://other")) == []
    assert kept(ComputeClient(mqtt_broker="other").config) == OF_SERVER
    given = ComputeClientConfig.create(base_url="http://other", http_password="new")
    assert kept(given) == ["http_password"]
    # What the environment holds does not come back into what was replaced.
    assert kept(ComputeClientConfig.create().replace(base_url="http://other").replace(timeout=1.0)) == []
    assert kept(ComputeClientConfig.create().replace(extra_headers={})) == everything[1:]


def test_secrets_of_a_file_are_for_the_file_s_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('base_url = "http://nas"\nhttp_password = "pw"\nextra_headers = {X-Key = "key"}\n')
    assert kept(ComputeClientConfig.from_file(path)) == ["extra_headers", "http_password"]
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://other")
    assert kept(ComputeClientConfig.from_file(path)) == []
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://nas/below")
    assert kept(ComputeClientConfig.from_file(path)) == ["extra_headers", "http_password"]


def test_the_auth_service_gets_no_secret_of_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_CLIENT_HTTP_PASSWORD", "pw")
    monkeypatch.setenv("CL_CLIENT_EXTRA_HEADERS", '{"X-Key": "key"}')
    assert kept(auth_config("http://auth:8000", None, 3)) == []
    behind_one_proxy = ComputeClientConfig.create(base_url="https://nas/compute", **SECRETS)
    assert kept(auth_config("https://nas/auth", behind_one_proxy, 3)) == [*OF_SERVER[1:], *OF_BROKER]
