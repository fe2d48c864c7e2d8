"""Where settings come from, and which one wins."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import MutableMapping
from inspect import getdoc
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, ComputeClientConfig, ConfigurationError, UnknownTaskError
from cl_client._mqtt.address import BrokerAddress
from cl_client.plugins.table import PLUGINS

if TYPE_CHECKING:
    from pathlib import Path


def test_defaults() -> None:
    config = ComputeClientConfig()
    assert config.base_url == "http://localhost:8002"
    assert config.mqtt_address == BrokerAddress("localhost", 1883)
    assert config.get_plugin_endpoint("hash") == "/jobs/hash"


def test_the_class_answers_for_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_CLIENT_JOBS_ENDPOINT", "/environment")
    assert ComputeClientConfig.DEFAULT_BASE_URL == "http://localhost:8002"
    assert ComputeClientConfig.get_plugin_endpoint("clip_embedding") == "/jobs/clip_embedding"
    assert {task: f"/jobs/{task}" for task in PLUGINS} == ComputeClientConfig.PLUGIN_ENDPOINTS
    assert not isinstance(ComputeClientConfig.PLUGIN_ENDPOINTS, MutableMapping)
    with pytest.raises(UnknownTaskError, match="'sharpen'"):
        ComputeClientConfig.get_plugin_endpoint("sharpen")
    assert "jobs of a task are submitted" in (getdoc(ComputeClientConfig.get_plugin_endpoint) or "")


@pytest.mark.parametrize(
    "settings",
    [{"jobs_endpoint": "/v2/jobs"}, {"plugin_endpoints": {"clip_embedding": "/v2/jobs/clip_embedding"}}],
)
def test_an_instance_answers_for_itself(settings: dict[str, object]) -> None:
    config = ComputeClientConfig.create(**settings)
    copies = [config, config.replace(timeout=1.0), pickle.loads(pickle.dumps(config)), copy.deepcopy(config)]  # noqa: S301 - of our own
    for it in copies:
        assert it.get_plugin_endpoint("clip_embedding") == "/v2/jobs/clip_embedding"
    assert ComputeClientConfig.get_plugin_endpoint("clip_embedding") == "/jobs/clip_embedding"
    assert "get_plugin_endpoint" not in ComputeClientConfig.model_fields


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPUTE_SERVER_URL", "http://server:9000/")
    monkeypatch.setenv("MQTT_BROKER_HOST", "broker")
    monkeypatch.setenv("MQTT_BROKER_PORT", "1884")
    monkeypatch.setenv("CL_CLIENT_TIMEOUT", "7")
    monkeypatch.setenv("CL_CLIENT_PLUGIN_ENDPOINTS", '{"mine": "/jobs/mine"}')
    config = ComputeClientConfig()
    assert (config.base_url, config.mqtt_broker, config.mqtt_port) == ("http://server:9000", "broker", 1884)
    assert config.timeout == 7
    assert config.get_plugin_endpoint("mine") == "/jobs/mine"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", 'base_url = "http://file:1"\ntimeout = 3.5\n'),
        ("c.yaml", "base_url: http://file:1\ntimeout: 3.5\n"),
    ],
)
def test_file_loses_against_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert ComputeClientConfig.from_file(path).base_url == "http://file:1"
    monkeypatch.setenv("CL_CLIENT_TIMEOUT", "9")
    assert ComputeClientConfig.from_file(path).timeout == 9


@pytest.mark.parametrize("name", ["it.toml", "it.yaml"])
def test_a_relative_path_counts_from_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "ca.pem").touch()
    (tmp_path / name).write_text('ca_file = "ca.pem"' if name.endswith("toml") else "ca_file: ca.pem")
    assert ComputeClientConfig.from_file(tmp_path / name).ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.toml", "timeout = -1\n", "timeout"),
        ("c.toml", "no_such_setting = 1\n", "no_such_setting"),
        ("c.toml", "timeout = = 1\n", "c.toml"),
        ("c.yaml", "8: x\n", "must contain names of settings"),
        ("c.yaml", "- timeout\n", "must contain names of settings"),
        ("c.yaml", "timeout: [\n", r"c\.yaml: line 2, column 1: invalid YAML"),
        ("c.yaml", "\a", "invalid YAML"),
        ("c.ini", "", "must end in .toml"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        ComputeClientConfig.from_file(path)
    with pytest.raises(ConfigurationError, match="configuration file not found"):
        ComputeClientConfig.from_file(tmp_path / "missing.toml")


@pytest.mark.parametrize("secret", ["s3cret: x", "*s3cret", "!s3cret", "'s3cret", '"s3cret\\q"'])
def test_yaml_that_cannot_be_read_is_not_quoted(tmp_path: Path, secret: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"timeout: 3\nmqtt_password: {secret}\n")
    with pytest.raises(ConfigurationError, match=r"line \d, column \d+: .*into quotes") as caught:
        ComputeClientConfig.from_file(path)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.toml"
    path.write_text('base_url = "http://file:1"\nmqtt_password = "pw"\ntimeout = 3.5\n')
    config = ComputeClientConfig.from_file(path)
    path.unlink()
    monkeypatch.setenv("CL_CLIENT_TIMEOUT", "9")
    assert config.replace(poll_min=1.0).timeout == 3.5
    assert ComputeClient(config=config).config == config
    assert config.replace(base_url="http://other").mqtt_password is None
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - of our own


def test_arguments_win_over_the_config() -> None:
    config = ComputeClientConfig(timeout=3.0, poll_interval=1.0)
    client = ComputeClient("http://a:1", timeout=4.0, config=config)
    assert (client.config.base_url, client.config.timeout) == ("http://a:1", 4.0)
    assert client.config.poll_interval == 1.0


def test_unusable_argument() -> None:
    with pytest.raises(ConfigurationError, match=r"base_url|COMPUTE_SERVER_URL"):
        ComputeClient("server:8002")


def test_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(UnknownTaskError, match=r"'sharpen'.*hash.*media_thumbnail"):
        ComputeClientConfig().get_plugin_endpoint("sharpen")


@pytest.mark.parametrize(("broker", "enabled"), [("off", False), ("OFF", False), ("host", True)])
def test_mqtt_off(broker: str, enabled: bool) -> None:  # noqa: FBT001 - a parametrised expectation
    assert ComputeClientConfig.create(mqtt_broker=broker).mqtt_enabled is enabled


@pytest.mark.parametrize(
    ("text", "port", "url"),
    [
        ("broker", None, "mqtt://broker:1883"),
        ("broker", 1999, "mqtt://broker:1999"),
        ("broker:1884", 1999, "mqtt://broker:1884"),
        ("mqtts://broker", None, "mqtts://broker:8883"),
        ("tcp://broker", None, "mqtt://broker:1883"),
        ("ws://broker:9001/path", None, "ws://broker:9001/path"),
        ("mqtt://[::1]:1883", None, "mqtt://[::1]:1883"),
    ],
)
def test_broker_addresses(text: str, port: int | None, url: str) -> None:
    assert BrokerAddress.parse(text, port).url == url


def test_broker_password_is_never_shown() -> None:
    address = BrokerAddress.parse("mqtt://me:s%40cret@broker")
    assert address.username == "me"
    assert address.password is not None
    assert address.password.get_secret_value() == "s@cret"
    assert "s@cret" not in f"{address} {address!r}"


def test_the_query_of_a_web_socket_is_kept_and_never_shown() -> None:
    config = ComputeClientConfig.create(mqtt_broker="wss://broker/mqtt?sig=s3cret%2F")
    address = config.mqtt_address
    assert address is not None
    assert (address.target, address.url) == ("/mqtt?sig=s3cret%2F", "wss://broker:443/mqtt")
    assert "s3cret" not in f"{address} {address!r} {config!r}"


@pytest.mark.parametrize("text", ["", "http://broker", "broker:99999", "mqtt://:1883", "broker:0"])
def test_unusable_broker_addresses(text: str) -> None:
    with pytest.raises(ConfigurationError):
        BrokerAddress.parse(text)


def test_a_broker_that_is_off_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_BROKER_HOST", "broker")
    for off in ("off", " OFF "):
        config = ComputeClientConfig(mqtt_broker=off)
        assert not config.mqtt_enabled
        assert not ComputeClient("http://other:1", config=config).config.mqtt_enabled
    assert ComputeClient(mqtt_broker="mine", config=config).config.mqtt_enabled


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://nas:8002", "mqtt://nas:1883"),
        ("https://me:pw@nas.local/below/", "mqtt://nas.local:1883"),
        ("http://[::1]:8002", "mqtt://[::1]:1883"),
    ],
)
def test_the_broker_is_by_default_on_the_servers_host(base_url: str, url: str) -> None:
    assert str(ComputeClient(base_url).config.mqtt_address) == url
    assert str(ComputeClientConfig().replace(base_url=base_url).mqtt_address) == url


def test_a_password_for_the_brokers_host_does_not_follow_to_another() -> None:
    config = ComputeClientConfig.create(base_url="http://nas", mqtt_username="me", mqtt_password="pw")
    assert config.replace(timeout=1.0).mqtt_password is not None
    assert config.replace(base_url="http://other").mqtt_password is None
    assert config.replace(base_url="http://other", mqtt_broker="nas").mqtt_password is not None
    unbound = ComputeClientConfig.create(mqtt_username="me", mqtt_password="pw")
    assert ComputeClient("http://nas", config=unbound).config.mqtt_password is not None
    named = config.replace(mqtt_broker="broker", mqtt_username="me", mqtt_password="pw")
    assert named.replace(base_url="http://other").mqtt_password is not None


def test_the_broker_s_password_outlives_other_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_CLIENT_MQTT_USERNAME", "me")
    monkeypatch.setenv("CL_CLIENT_MQTT_PASSWORD", "pw")
    config = ComputeClientConfig.create().replace(timeout=5.0).replace()
    assert (config.timeout, config.poll_min) == (5.0, 0.5)
    on_nas = ComputeClient("http://nas:8002", config=config).config
    assert on_nas.mqtt_password is not None
    monkeypatch.delenv("CL_CLIENT_MQTT_PASSWORD")
    assert on_nas.replace(timeout=6.0).mqtt_password is not None
    assert on_nas.replace(timeout=6.0).replace(base_url="http://other").mqtt_password is None


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://:8002",
        "http://[::1",
        "https:///path",
        "http://ho st",
        "http://a:b",
        "http://a:99999",
    ],
)
def test_a_server_without_a_host_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"base_url|COMPUTE_SERVER_URL"):
        ComputeClientConfig.create(base_url=url)


@pytest.mark.parametrize("url", ["http://host?x=1", "http://host/#f"])
def test_a_server_to_which_no_path_can_be_added_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="paths are appended to it"):
        ComputeClientConfig.create(base_url=url)


@pytest.mark.parametrize("path", ["jobs", "", "http://other/jobs", "/jobs?x=1", "/jobs#x"])
def test_a_path_that_would_lead_elsewhere_is_refused(path: str) -> None:
    for values in ({"jobs_endpoint": path}, {"plugin_endpoints": {"mine": path}}):
        with pytest.raises(ConfigurationError, match=rf"{next(iter(values))}.*the path must start with /"):
            ComputeClientConfig.create(**values)


@pytest.mark.parametrize("name", ["poll_min", "poll_interval", "poll_interval_push"])
@pytest.mark.parametrize("seconds", [-1, 0, 1e-9])
def test_jobs_are_not_read_without_a_pause(name: str, seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}.*0\.01"):
        ComputeClientConfig.create(**{name: seconds})


@pytest.mark.parametrize("seconds", [0, 1e7, float("inf"), float("nan")])
def test_seconds_that_no_timer_can_count_are_refused(seconds: float) -> None:
    fields = ComputeClientConfig.model_fields
    names = [name for name in fields if name.endswith(("timeout", "_expiry", "_after")) or "poll_" in name]
    assert len(names) == 12
    for name in names:
        with pytest.raises(ConfigurationError, match=name):
            ComputeClientConfig.create(**{name: seconds})


@pytest.mark.parametrize("topic", ["", "jobs/#", "jobs/+/events"])
def test_topics_without_wildcards(topic: str) -> None:
    with pytest.raises(ConfigurationError, match=r"events_topic.*wildcard"):
        ComputeClientConfig.create(events_topic=topic)


@pytest.mark.parametrize("broker", ["gopher://broker", "mqtt://", "broker:0", "[::1"])
def test_a_broker_that_is_no_address_is_refused_at_once(broker: str) -> None:
    with pytest.raises(ConfigurationError, match="MQTT broker"):
        ComputeClientConfig.create(mqtt_broker=broker)


@pytest.mark.parametrize(
    ("broker", "url"),
    [
        ("nas", "mqtt://nas:1884"),
        ("nas:1", "mqtt://nas:1"),
        ("wss://me:pw@nas/x", "wss://nas:1884/x"),
        (" Off ", None),
    ],
)
def test_the_address_of_the_broker(broker: str, url: str | None) -> None:
    address = ComputeClientConfig.create(mqtt_broker=broker, mqtt_port=1884).mqtt_address
    assert (address and address.url) == url
