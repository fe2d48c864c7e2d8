"""Every endpoint, host, port, topic and default of the client, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, FilePath, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from cl_client._config.config_file import read_settings
from cl_client._config.default_settings import MethodWithDefaults
from cl_client._config.secret_settings import (
    BASE_URL_VARIABLE,
    BROKER_VARIABLE,
    PORT_VARIABLE,
    OfItsServer,
    host_of,
    is_off,
    named_by_field,
    with_logins_apart,
    without_foreign_secrets,
)
from cl_client._core.deadlines import MIN_POLL_SECONDS
from cl_client._core.validation import check_endpoint, check_headers, check_proxy, check_server_url
from cl_client._errors import ConfigurationError, InvalidParameterError, UnknownTaskError
from cl_client._mqtt.address import BrokerAddress
from cl_client.plugins.table import PLUGINS, third_party_plugins

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

_PATHS = ("ca_file", "client_cert_file", "client_key_file")

_JOBS: Final = "/jobs"

_ValueT = TypeVar("_ValueT")

_MAX_SECONDS = 2_000_000
"""Some 23 days. Sockets count milliseconds in 32 bits, and fail with more or wait for another time."""

Seconds = Annotated[float, Field(gt=0, le=_MAX_SECONDS)]
PollSeconds = Annotated[float, Field(ge=MIN_POLL_SECONDS, le=_MAX_SECONDS)]


class ComputeClientConfig(BaseSettings):
    """The client's settings; every one can come from the environment.

    ``COMPUTE_SERVER_URL``, ``MQTT_BROKER_HOST`` and ``MQTT_BROKER_PORT`` have these names; every other
    setting is ``CL_CLIENT_`` and its name in capitals, for instance ``CL_CLIENT_TIMEOUT``. An explicit
    argument wins over the environment, and the environment over a file (`from_file`). Seconds are at most
    2,000,000.

    Secrets are for the server that they were set with: ``http_username``, ``http_password`` and
    ``extra_headers`` for the scheme, host and port of ``base_url``; ``mqtt_username``, ``mqtt_password`` and
    ``mqtt_use_token`` for those of the broker. Where an argument, `replace` or the environment names another
    one, they are left out unless they are given along with it. Secrets that were set without an address, such
    as those of an environment that names no server, are for the first one that is named. A proxy's password
    and a client's certificate stay: no server is sent them.

    Attributes:
        DEFAULT_BASE_URL: The ``base_url`` where none is given.
        PLUGIN_ENDPOINTS: Each of this library's plugins and its path, with default settings. Read-only:
            ``jobs_endpoint`` and ``plugin_endpoints`` are how an instance has others.
        base_url: The compute service. A user name and a password in it become the next two settings.
        http_username: With ``http_password``, for a reverse proxy that asks for HTTP Basic authentication.
        http_password: See ``http_username``.
        mqtt_broker: Host, ``host:port`` or URL; None for the host of ``base_url``, ``"off"`` for HTTP alone.
            Not in the repr, since the query of a ``wss`` URL may be a signature.
        mqtt_port: The broker's port where ``mqtt_broker`` names none; None for its scheme's: 1883 for a host
            and ``mqtt``, 8883 for ``mqtts``, 80 for ``ws``, 443 for ``wss``.
        mqtt_username: With ``mqtt_password``, where the URL has none.
        mqtt_connect_timeout: Seconds for reaching the broker.
        ca_file: PEM file of the authorities that HTTP and MQTT trust; None for the system's.
        client_cert_file: PEM file with the client's own certificate, for servers that ask for one.
        client_key_file: PEM file with its key, where the certificate's file does not hold it.
        insecure_skip_verify: Take any certificate, of anybody; each use is warned of in the log. For trials
            alone: ``ca_file`` is the way to trust a server's own certificate.
        mqtt_use_token: Show the auth provider's user name and token to the broker, the token as the password.
            Off by default, since the broker then could use the token.
        events_topic: Where servers announce job events; one release used ``jobs/events``.
        workers_topic: The prefix of the workers' retained announcements.
        jobs_endpoint: The path below which jobs live; begins with a ``/``, like the next ones.
        plugin_endpoints: Paths of plugins whose endpoint is not ``<jobs_endpoint>/<task>``.
        timeout: Seconds for connecting, and for each single read or write of a request, where the next three
            do not say otherwise. No limit of a whole request: a server that sends a byte now and then keeps
            it going. Methods have a ``timeout`` of their own for the whole.
        connect_timeout: Seconds for connecting; None for ``timeout``.
        read_timeout: Seconds for each single read; None for ``timeout``.
        write_timeout: Seconds for each single write; None for ``timeout``.
        pool_timeout: Seconds that a request may wait for its turn; None for no limit.
        pool_size: Idle connections that are kept.
        pool_maxsize: Connections and requests at the same time; further ones wait their turn.
        keepalive_expiry: Seconds after which an idle connection is closed. Less than the 5 of uvicorn, so
            that a request is never sent into a connection that the server is just closing.
        http2: Speak HTTP/2 where the server does, over TLS; needs the extra ``http2``. Uploads keep to
            HTTP/1.1, over which their refusal is heard before their end.
        proxy: URL of an HTTP or SOCKS proxy for HTTP; SOCKS needs the extra ``socks``.
        trust_env: Look for proxies in the environment (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``,
            ``NO_PROXY``) where ``proxy`` is not set.
        extra_headers: Sent with every HTTP request. Values are kept secret.
        max_retries: How often a request is tried again when the server cannot be reached or is too busy. A
            submit only where it is certain that the server did not take it: no connection, or 429.
        max_retry_wait: Seconds that all pauses between the attempts of one call may take together. Servers
            that are busy name a pause in ``Retry-After``, of which at most 60 s are waited at once; a call
            that would have to wait for longer in all ends with the server's last answer.
        job_cache_size: How many ended jobs are kept in memory for ``get_job(cache=True)``.
        wait_timeout: Seconds that waiting for a job may take; None for no limit.
        poll_min: Seconds to the first HTTP read of a followed job that has no news. This and the next two are
            at least 0.01.
        poll_interval: The longest pause between such reads while there is no push; with push, the shortest
            for jobs that do not run yet.
        poll_interval_push: The longest pause while MQTT is connected; longer for jobs that do not run yet
            where more than 600 are followed, since all of these are read 20 times a second at most.
        max_concurrent_reads: HTTP reads of followed jobs at the same time.
        worker_stale_after: Seconds after which a worker's silence means that it is gone.
        require_worker: Refuse to upload when nobody serves the task.
        delete_on_cancel: Delete the job at the server when waiting for it is cancelled or times out.
    """

    model_config = SettingsConfigDict(
        env_prefix="CL_CLIENT_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
        ignored_types=(MethodWithDefaults,),
    )

    DEFAULT_BASE_URL: ClassVar[str] = "http://localhost:8002"
    PLUGIN_ENDPOINTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {task: f"{_JOBS}/{task}" for task in PLUGINS}
    )

    base_url: str = Field(default=DEFAULT_BASE_URL, validation_alias=BASE_URL_VARIABLE)
    http_username: str | None = None
    http_password: SecretStr | None = None
    mqtt_broker: str | None = Field(default=None, validation_alias=BROKER_VARIABLE, repr=False)
    mqtt_port: int | None = Field(default=None, ge=1, le=65535, validation_alias=PORT_VARIABLE)
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_connect_timeout: Seconds = 5.0
    ca_file: FilePath | None = None
    client_cert_file: FilePath | None = None
    client_key_file: FilePath | None = None
    insecure_skip_verify: bool = False
    mqtt_use_token: bool = False
    events_topic: str = "inference/events"
    workers_topic: str = "inference/workers"
    jobs_endpoint: str = _JOBS
    plugin_endpoints: dict[str, str] = Field(default_factory=dict)
    timeout: Seconds = 30.0
    connect_timeout: Seconds | None = None
    read_timeout: Seconds | None = None
    write_timeout: Seconds | None = None
    pool_timeout: Seconds | None = None
    pool_size: int = Field(default=20, ge=0)
    pool_maxsize: int = Field(default=100, ge=1)
    keepalive_expiry: Seconds = 4.0
    http2: bool = False
    proxy: SecretStr | None = None
    trust_env: bool = True
    extra_headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    max_retries: int = Field(default=4, ge=0)
    max_retry_wait: Seconds = 120.0
    job_cache_size: int = Field(default=256, ge=0)
    wait_timeout: Seconds | None = None
    poll_min: PollSeconds = 0.5
    poll_interval: PollSeconds = 5.0
    poll_interval_push: PollSeconds = 30.0
    max_concurrent_reads: int = Field(default=8, ge=1)
    worker_stale_after: Seconds = 90.0
    require_worker: bool = False
    delete_on_cancel: bool = False

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        weaker = (env_settings, dotenv_settings, file_secret_settings)
        return init_settings, *(OfItsServer(settings_cls, source) for source in weaker)

    @field_validator("events_topic", "workers_topic")
    @classmethod
    def _check_topic(cls, topic: str) -> str:
        if not topic or set(topic) & set("#+\0"):
            raise ValueError("a topic is at least one character, and has no wildcard (#, +) in it")
        return topic

    @field_validator("jobs_endpoint")
    @classmethod
    def _check_endpoint(cls, path: str) -> str:
        check_endpoint(path)
        return path

    @field_validator("plugin_endpoints")
    @classmethod
    def _check_endpoints(cls, paths: dict[str, str]) -> dict[str, str]:
        for path in paths.values():
            check_endpoint(path)
        return paths

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        check_server_url(url)
        return url.rstrip("/")

    @field_validator("mqtt_broker")
    @classmethod
    def _check_broker(cls, broker: str | None) -> str | None:
        if broker is not None and not is_off(broker):
            BrokerAddress.parse(broker)
        return broker

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            check_proxy(proxy.get_secret_value())
        return proxy

    @field_validator("extra_headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        check_headers({name: value.get_secret_value() for name, value in headers.items()})
        return headers

    @model_validator(mode="before")
    @classmethod
    def _take_credentials_out(cls, values: object) -> object:
        """Move user names and passwords out of URLs, so that no message or repr can show them."""
        return with_logins_apart(cast("Mapping[str, object]", values)) if isinstance(values, dict) else values

    @classmethod
    def create(cls, **values: object) -> Self:
        """Make a config from the environment and these values; None stands for "not given".

        Raises:
            ConfigurationError: A value is unusable; the message names the setting.
        """
        with _naming_what_is_wrong():
            return cls.model_validate(named_by_field(values))

    def replace(self, **values: object) -> Self:
        """The same config with some other values; None stands for "as it is".

        With another server (scheme, host or port of ``base_url``) its secrets are left out that are not given
        anew, and so are those of the broker with another broker.

        Raises:
            ConfigurationError: A value is unusable; the message names the setting.
        """
        given = named_by_field(values)
        fields = cast("dict[str, object]", dict(self))
        ours = {name: value for name, value in fields.items() if name in self.model_fields_set}
        made = type(self).__new__(type(self))
        with _naming_what_is_wrong():  # the environment, which may have changed, is not read again
            BaseModel.__init__(made, **{**without_foreign_secrets(ours, given), **given})
        return made

    @classmethod
    def from_file(cls, path: Path) -> ComputeClientConfig:
        """Read a ``.toml``, ``.yaml`` or ``.yml`` file; the environment wins over it.

        Relative paths in it (``ca_file`` and so on) count from the file's folder.

        Raises:
            ConfigurationError: The file is missing or not readable, or a value in it is unusable.
        """
        values = cls.anchor_paths(read_settings(path), path.parent)

        class FileConfig(ComputeClientConfig):
            @classmethod
            @override
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,
                file_secret_settings: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                sources = super().settings_customise_sources(
                    settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
                )
                return *sources, OfItsServer(settings_cls, InitSettingsSource(settings_cls, values))

        try:
            read = FileConfig()
        except ValidationError as exc:
            raise ConfigurationError(f"{path}: {configuration_error(exc)}") from None
        except ValueError as exc:  # a variable of the environment that is no JSON
            raise ConfigurationError(f"{path}: {exc}") from None
        # One of its own class would take the file into account again, and could not be pickled.
        return ComputeClientConfig.model_construct(read.model_fields_set, **dict(read))

    @staticmethod
    def anchor_paths(values: Mapping[str, _ValueT], folder: Path) -> dict[str, _ValueT | str]:
        """Settings as a file in this folder means them: relative paths count from it, ``~`` is the user's."""
        paths = {
            name: str(folder / Path(value).expanduser())
            for name in _PATHS
            if isinstance(value := values.get(name), str)
        }
        return {**values, **paths}

    @property
    def request_timeout(self) -> httpx.Timeout:
        """The limits of connecting and of single reads and writes, as httpx wants them."""
        return httpx.Timeout(
            connect=self.connect_timeout or self.timeout,
            read=self.read_timeout or self.timeout,
            write=self.write_timeout or self.timeout,
            # HTTPService waits for a free connection itself, for `pool_timeout`: httpx's pool has one then.
            pool=self.connect_timeout or self.timeout,
        )

    @property
    def mqtt_enabled(self) -> bool:
        """Whether a broker is used at all."""
        return self.mqtt_broker is None or not is_off(self.mqtt_broker)

    @property
    def mqtt_address(self) -> BrokerAddress | None:
        """Where the broker is; None where none is used."""
        if not self.mqtt_enabled:
            return None
        return BrokerAddress.parse(self.mqtt_broker or host_of(self.base_url), self.mqtt_port)

    def job_path(self, job_id: str) -> str:
        """The path of one job.

        Raises:
            InvalidParameterError: The id is none: it would lead to another address.
        """
        try:
            if job_id not in {"", ".", ".."}:
                return f"{self.jobs_endpoint}/{quote(job_id, safe='')}"
        except (TypeError, UnicodeEncodeError):  # no text, or half of a character
            pass
        raise InvalidParameterError(f"{job_id!r} is not the id of a job")

    @MethodWithDefaults
    def get_plugin_endpoint(self, task: str) -> str:
        """The path to which jobs of a task are posted; called on the class, that of the default settings.

        Raises:
            UnknownTaskError: There is no such plugin.
        """
        if task in self.plugin_endpoints:
            return self.plugin_endpoints[task]
        if task not in PLUGINS and task not in third_party_plugins():
            raise UnknownTaskError(task, (*PLUGINS, *third_party_plugins(), *self.plugin_endpoints))
        return f"{self.jobs_endpoint}/{task}"


@contextmanager
def _naming_what_is_wrong() -> Generator[None]:
    try:
        yield
    except ValidationError as exc:
        raise configuration_error(exc) from None


def configuration_error(exc: ValidationError) -> ConfigurationError:
    """Say which setting is wrong and why, without the value where it may be a secret."""
    problems = "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
        for e in exc.errors(include_input=False)
    )
    return ConfigurationError(f"Unusable setting: {problems}")
