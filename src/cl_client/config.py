"""The client's settings: every endpoint, host, port, topic and default, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from cl_client._config.config_file import read_settings
from cl_client._config.default_settings import MethodWithDefaults
from cl_client._config.field_types import (
    BaseURL,
    Broker,
    Endpoint,
    Endpoints,
    Headers,
    PollSeconds,
    Proxy,
    Seconds,
    Topic,
)
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
from cl_client._config.setting_errors import configuration_error, invalid_settings_named
from cl_client._errors import ConfigurationError, InvalidParameterError, UnknownTaskError
from cl_client._mqtt.address import BrokerAddress
from cl_client.plugins.table import PLUGINS, third_party_plugin, third_party_plugins

if TYPE_CHECKING:
    from typing import Self

_PATHS = ("ca_file", "client_cert_file", "client_key_file")

_JOBS: Final = "/jobs"

_ValueT = TypeVar("_ValueT")


class ComputeClientConfig(BaseSettings):
    """The client's settings; each of them can come from the environment.

    The environment variables are ``COMPUTE_SERVER_URL``, ``MQTT_BROKER_HOST`` and ``MQTT_BROKER_PORT``; for
    every other setting, ``CL_CLIENT_`` and its name in capitals, for instance ``CL_CLIENT_TIMEOUT``. An
    explicit argument takes precedence over the environment, and the environment over a file (`from_file`).
    The maximum for every number of seconds is 2,000,000.

    Secrets are sent only to the server that they were set for: ``http_username``, ``http_password`` and
    ``extra_headers`` to the scheme, host and port of ``base_url``; ``mqtt_username``, ``mqtt_password`` and
    ``mqtt_use_token`` to those of the broker. If an argument, `replace` or the environment names a different
    server, these secrets are removed unless they are given together with it. Secrets that were set without an
    address, such as those of an environment that names no server, are for the first server that is named. A
    proxy's password and a client certificate are kept, because servers do not receive them.

    Attributes:
        DEFAULT_BASE_URL: The default of ``base_url``.
        PLUGIN_ENDPOINTS: The path of each plugin of this library, with default settings. Read-only: use
            ``jobs_endpoint`` and ``plugin_endpoints`` to change the paths of an instance.
        base_url: URL of the compute service. A user name and a password in it become the next two settings.
        http_username: User name for a reverse proxy that requires HTTP Basic authentication.
        http_password: Password for ``http_username``.
        mqtt_broker: Host, ``host:port`` or URL; None for the host of ``base_url``, ``"off"`` for HTTP only.
            Not in the repr, since the query of a ``wss`` URL may be a signature.
        mqtt_port: Port of the broker, if ``mqtt_broker`` has none; None for the default of its scheme: 1883
            for a host and ``mqtt``, 8883 for ``mqtts``, 80 for ``ws``, 443 for ``wss``.
        mqtt_username: User name for the broker, with ``mqtt_password``, if the URL has none.
        mqtt_connect_timeout: Seconds for connecting to the broker.
        ca_file: PEM file with the certificate authorities that HTTP and MQTT trust; None for the system's.
        client_cert_file: PEM file with the client certificate, for servers that require one.
        client_key_file: PEM file with the certificate's key, if ``client_cert_file`` does not contain it.
        insecure_skip_verify: Accept any certificate; each use logs a warning. For tests only: use ``ca_file``
            to trust a server's self-signed certificate.
        mqtt_use_token: Log in to the broker with the auth provider's user name, and its token as the
            password. Off by default, since the broker could then use the token itself.
        events_topic: Topic of job events; one server release used ``jobs/events``.
        workers_topic: Topic prefix of the workers' retained announcements.
        jobs_endpoint: Path of jobs; starts with ``/``, like the next ones.
        plugin_endpoints: Paths of plugins whose endpoint is not ``<jobs_endpoint>/<task>``.
        timeout: Seconds for connecting, and for each single read or write of a request; the default of the
            next three settings. It does not limit a whole request: a server that sends a byte now and then
            never times out. To limit a whole call, pass ``timeout`` to its method.
        connect_timeout: Seconds for connecting; None for ``timeout``.
        read_timeout: Seconds for each single read; None for ``timeout``.
        write_timeout: Seconds for each single write; None for ``timeout``.
        pool_timeout: Seconds that a request may wait for a free connection; None for no limit.
        pool_size: Maximum number of idle connections.
        pool_maxsize: Maximum number of connections and concurrent requests; further requests wait.
        keepalive_expiry: Seconds after which an idle connection is closed. Shorter than uvicorn's 5 s, so
            that no request is sent on a connection that the server is closing.
        http2: Use HTTP/2 over TLS if the server supports it; needs the extra ``http2``. Uploads use HTTP/1.1,
            where a rejection is noticed before the upload ends.
        proxy: URL of an HTTP or SOCKS proxy for HTTP; SOCKS needs the extra ``socks``.
        trust_env: Read proxies from the environment (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``,
            ``NO_PROXY``) if ``proxy`` is not set.
        extra_headers: Headers of every HTTP request. Their values are kept secret.
        max_retries: Maximum number of retries when the server is unreachable or busy. A submit is retried
            only if the server certainly did not accept it: no connection, or 429.
        max_retry_wait: Maximum seconds of all pauses between the attempts of a call together. A busy server
            names a pause in ``Retry-After``; each pause is limited to 60 s. A call that would have to wait
            longer in total raises the server's last response.
        job_cache_size: Number of ended jobs that are kept in memory for ``get_job(cache=True)``.
        wait_timeout: Maximum seconds of waiting for a job; None for no limit.
        poll_min: Seconds until the first HTTP read of a followed job without news. This and the next two are
            at least 0.01.
        poll_interval: Maximum seconds between such reads without push; with push, the minimum for jobs that
            are still queued.
        poll_interval_push: Maximum seconds between such reads while MQTT is connected. Longer for queued jobs
            if more than 600 are followed, since these are read at most 20 times a second in total.
        max_concurrent_reads: Maximum number of concurrent HTTP reads of followed jobs.
        worker_stale_after: Seconds without a message after which a worker is considered gone.
        require_worker: Raise `WorkerUnavailableError` before uploading if no worker serves the task.
        delete_on_cancel: Delete the job on the server when waiting for it is cancelled or times out.
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

    base_url: BaseURL = Field(default=DEFAULT_BASE_URL, validation_alias=BASE_URL_VARIABLE)
    http_username: str | None = None
    http_password: SecretStr | None = None
    mqtt_broker: Broker | None = Field(default=None, validation_alias=BROKER_VARIABLE, repr=False)
    mqtt_port: int | None = Field(default=None, ge=1, le=65535, validation_alias=PORT_VARIABLE)
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_connect_timeout: Seconds = 5.0
    ca_file: FilePath | None = None
    client_cert_file: FilePath | None = None
    client_key_file: FilePath | None = None
    insecure_skip_verify: bool = False
    mqtt_use_token: bool = False
    events_topic: Topic = "inference/events"
    workers_topic: Topic = "inference/workers"
    jobs_endpoint: Endpoint = _JOBS
    plugin_endpoints: Endpoints = Field(default_factory=dict)
    timeout: Seconds = 30.0
    connect_timeout: Seconds | None = None
    read_timeout: Seconds | None = None
    write_timeout: Seconds | None = None
    pool_timeout: Seconds | None = None
    pool_size: int = Field(default=20, ge=0)
    pool_maxsize: int = Field(default=100, ge=1)
    keepalive_expiry: Seconds = 4.0
    http2: bool = False
    proxy: Proxy | None = None
    trust_env: bool = True
    extra_headers: Headers = Field(default_factory=dict[str, SecretStr])
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

    @model_validator(mode="before")
    @classmethod
    def _take_credentials_out(cls, values: object) -> object:
        """Move user names and passwords out of URLs, so that no message or repr shows them."""
        return with_logins_apart(cast("Mapping[str, object]", values)) if isinstance(values, dict) else values

    @classmethod
    def create(cls, **values: object) -> Self:
        """Create a config from the environment and the given values.

        Args:
            **values: Settings by name; None for a setting that is not given.

        Returns:
            The config.

        Raises:
            ConfigurationError: A value is invalid; the message names the setting.
        """
        with invalid_settings_named():
            return cls.model_validate(named_by_field(values))

    def replace(self, **values: object) -> Self:
        """Create a copy of the config with some values changed.

        If ``base_url`` changes to a different server (scheme, host or port), secrets that are not given again
        are removed. The same applies to the broker's secrets if the broker changes.

        Args:
            **values: Settings to change, by name; None keeps a setting.

        Returns:
            The new config. The environment is not read again.

        Raises:
            ConfigurationError: A value is invalid; the message names the setting.
        """
        given = named_by_field(values)
        fields = cast("dict[str, object]", dict(self))
        ours = {name: value for name, value in fields.items() if name in self.model_fields_set}
        made = type(self).__new__(type(self))
        with invalid_settings_named():  # the environment, which may have changed, is not read again
            BaseModel.__init__(made, **{**without_foreign_secrets(ours, given), **given})
        return made

    @classmethod
    def from_file(cls, path: Path) -> ComputeClientConfig:
        """Create a config from a file; the environment takes precedence over it.

        Relative paths in the file (``ca_file`` and so on) are relative to its folder.

        Args:
            path: A ``.toml``, ``.yaml`` or ``.yml`` file.

        Returns:
            The config.

        Raises:
            ConfigurationError: The file is not found or not readable, or contains an invalid value.
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
        except ValueError as exc:  # an environment variable that is not JSON
            raise ConfigurationError(f"{path}: {exc}") from None
        # An instance of the local class would read the file again, and could not be pickled.
        return ComputeClientConfig.model_construct(read.model_fields_set, **dict(read))

    @staticmethod
    def anchor_paths(values: Mapping[str, _ValueT], folder: Path) -> dict[str, _ValueT | str]:
        """Resolve the relative paths in the settings of a file.

        Args:
            values: Settings by name.
            folder: Folder of the file, to which paths are relative; ``~`` is the user's home folder.

        Returns:
            A copy of the settings.
        """
        paths = {
            name: str(folder / Path(value).expanduser())
            for name in _PATHS
            if isinstance(value := values.get(name), str)
        }
        return {**values, **paths}

    @property
    def request_timeout(self) -> httpx.Timeout:
        """Time limits of connecting and of single reads and writes, for httpx."""
        return httpx.Timeout(
            connect=self.connect_timeout or self.timeout,
            read=self.read_timeout or self.timeout,
            write=self.write_timeout or self.timeout,
            # RequestSender itself waits up to `pool_timeout` for a free connection, so httpx's pool has one.
            pool=self.connect_timeout or self.timeout,
        )

    @property
    def mqtt_enabled(self) -> bool:
        """Whether MQTT is used."""
        return self.mqtt_broker is None or not is_off(self.mqtt_broker)

    @property
    def mqtt_address(self) -> BrokerAddress | None:
        """Address of the broker; None if MQTT is off."""
        if not self.mqtt_enabled:
            return None
        return BrokerAddress.parse(self.mqtt_broker or host_of(self.base_url), self.mqtt_port)

    def job_path(self, job_id: str) -> str:
        """Get the path of a job.

        Args:
            job_id: Id of the job; it is percent-encoded.

        Returns:
            The path, relative to ``base_url``.

        Raises:
            InvalidParameterError: The id is invalid: its path would be that of something else.
        """
        try:
            if job_id not in {"", ".", ".."}:
                return f"{self.jobs_endpoint}/{quote(job_id, safe='')}"
        except (TypeError, UnicodeEncodeError):  # not a string, or a lone surrogate
            pass
        raise InvalidParameterError(f"{job_id!r} is not a valid job id")

    @MethodWithDefaults
    def get_plugin_endpoint(self, task: str) -> str:
        """Get the path to which jobs of a task are submitted. On the class, it uses the default settings.

        Args:
            task: Task type, for instance ``"hash"``.

        Returns:
            The path, relative to ``base_url``.

        Raises:
            UnknownTaskError: No plugin exists for the task.
        """
        if task in self.plugin_endpoints:
            return self.plugin_endpoints[task]
        if task not in PLUGINS and third_party_plugin(task) is None:
            raise UnknownTaskError(task, (*PLUGINS, *third_party_plugins(), *self.plugin_endpoints))
        return f"{self.jobs_endpoint}/{task}"
