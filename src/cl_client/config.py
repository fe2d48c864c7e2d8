"""Every endpoint, host, port, topic and default of the client, in one frozen object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)
from typing_extensions import override

from cl_client.exceptions import ConfigurationError, UnknownTaskError
from cl_client.plugins import PLUGINS, third_party_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

MQTT_OFF = "off"

Seconds = Annotated[float, Field(gt=0)]


class ComputeClientConfig(BaseSettings):
    """The client's settings; every one can come from the environment.

    ``COMPUTE_SERVER_URL``, ``MQTT_BROKER_HOST`` and ``MQTT_BROKER_PORT`` have these names; every other
    setting is ``CL_CLIENT_`` and its name in capitals, for instance ``CL_CLIENT_TIMEOUT``. An explicit
    argument wins over the environment, and the environment over a file (`from_file`).

    Attributes:
        base_url: The compute service.
        mqtt_broker: Host, ``host:port`` or URL; None or ``"off"`` for HTTP alone.
        mqtt_port: The broker's port where ``mqtt_broker`` names none.
        mqtt_username: With ``mqtt_password``, where the URL has none.
        mqtt_connect_timeout: Seconds for reaching the broker.
        ca_file: PEM file of the authorities that HTTP and MQTT trust; None for the system's.
        client_cert_file: PEM file with the client's own certificate, for servers that ask for one.
        client_key_file: PEM file with its key, where the certificate's file does not hold it.
        events_topic: Where servers announce job events; one release used ``jobs/events``.
        workers_topic: The prefix of the workers' retained announcements.
        jobs_endpoint: The path below which jobs live.
        plugin_endpoints: Paths of plugins whose endpoint is not ``<jobs_endpoint>/<task>``.
        timeout: Seconds for connecting, and for each single read or write of a request.
        pool_size: Idle connections that are kept.
        pool_maxsize: Connections and requests at the same time; further ones wait their turn.
        max_retries: How often a read or delete is tried again.
        wait_timeout: Seconds that waiting for a job may take; None for no limit.
        poll_min: Seconds to the first HTTP read of a followed job that has no news.
        poll_interval: The longest pause between such reads while there is no push; with push, the shortest
            for jobs that do not run yet.
        poll_interval_push: The longest pause while MQTT is connected.
        max_concurrent_reads: HTTP reads of followed jobs at the same time. With a server near by, more are
            slower rather than faster: httpx looks at every idle connection for every request.
        worker_stale_after: Seconds after which a worker's silence means that it is gone.
        require_worker: Refuse to upload when nobody serves the task.
        delete_on_cancel: Delete the job at the server when waiting for it is cancelled or times out.
    """

    model_config = SettingsConfigDict(
        env_prefix="CL_CLIENT_", frozen=True, extra="forbid", populate_by_name=True, env_ignore_empty=True
    )

    base_url: str = Field(default="http://localhost:8002", validation_alias="COMPUTE_SERVER_URL")
    mqtt_broker: str | None = Field(default="localhost", validation_alias="MQTT_BROKER_HOST")
    mqtt_port: int = Field(default=1883, ge=1, le=65535, validation_alias="MQTT_BROKER_PORT")
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_connect_timeout: Seconds = 5.0
    ca_file: FilePath | None = None
    client_cert_file: FilePath | None = None
    client_key_file: FilePath | None = None
    events_topic: str = "inference/events"
    workers_topic: str = "inference/workers"
    jobs_endpoint: str = "/jobs"
    plugin_endpoints: dict[str, str] = Field(default_factory=dict)
    timeout: Seconds = 30.0
    pool_size: int = Field(default=20, ge=1)
    pool_maxsize: int = Field(default=100, ge=1)
    max_retries: int = Field(default=4, ge=0)
    wait_timeout: Seconds | None = None
    poll_min: Seconds = 0.5
    poll_interval: Seconds = 5.0
    poll_interval_push: Seconds = 30.0
    max_concurrent_reads: int = Field(default=8, ge=1)
    worker_stale_after: Seconds = 90.0
    require_worker: bool = False
    delete_on_cancel: bool = False

    @field_validator("events_topic", "workers_topic")
    @classmethod
    def _check_topic(cls, topic: str) -> str:
        if not topic or set(topic) & set("#+\0"):
            raise ValueError("a topic is at least one character, and has no wildcard (#, +) in it")
        return topic

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("write it with its scheme, for instance http://server:8002")
        return url.rstrip("/")

    @classmethod
    def create(cls, **values: object) -> Self:
        """Make a config from the environment and these values; None stands for "not given".

        Raises:
            ConfigurationError: A value is unusable; the message names the setting.
        """
        return cls._validated(_given(values))

    def replace(self, **values: object) -> Self:
        """The same config with some other values; None stands for "as it is".

        Raises:
            ConfigurationError: A value is unusable; the message names the setting.
        """
        # Every field is passed on, None as well: otherwise the environment would fill it again.
        return self._validated({**dict(self), **_given(values)})

    @classmethod
    def _validated(cls, values: Mapping[str, object]) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as exc:
            raise configuration_error(exc) from None

    @classmethod
    def from_file(cls, path: Path) -> ComputeClientConfig:
        """Read a ``.toml``, ``.yaml`` or ``.yml`` file; the environment wins over it.

        Raises:
            ConfigurationError: The file is missing or not readable, or a value in it is unusable.
        """
        if path.suffix not in {".toml", ".yaml", ".yml"}:
            raise ConfigurationError(f"{path}: a configuration file ends in .toml, .yaml or .yml")
        if not path.is_file():
            raise ConfigurationError(f"{path}: there is no such configuration file")

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
                del dotenv_settings, file_secret_settings
                source = TomlConfigSettingsSource if path.suffix == ".toml" else YamlConfigSettingsSource
                return init_settings, env_settings, source(settings_cls, path)

        try:
            return FileConfig()
        except ValidationError as exc:
            raise ConfigurationError(f"{path}: {configuration_error(exc)}") from None
        except ValueError as exc:
            raise ConfigurationError(f"{path}: {exc}") from None

    @property
    def mqtt_enabled(self) -> bool:
        """Whether a broker is used at all."""
        return self.mqtt_broker is not None and self.mqtt_broker.strip().lower() != MQTT_OFF

    def job_path(self, job_id: str) -> str:
        """The path of one job."""
        return f"{self.jobs_endpoint}/{quote(job_id, safe='')}"

    def get_plugin_endpoint(self, task: str) -> str:
        """The path to which jobs of a task are posted.

        Raises:
            UnknownTaskError: There is no such plugin.
        """
        if task in self.plugin_endpoints:
            return self.plugin_endpoints[task]
        if task not in PLUGINS and task not in third_party_plugins():
            raise UnknownTaskError(task, (*PLUGINS, *third_party_plugins(), *self.plugin_endpoints))
        return f"{self.jobs_endpoint}/{task}"


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def configuration_error(exc: ValidationError) -> ConfigurationError:
    """Say which setting is wrong and why, without the value where it may be a secret."""
    problems = "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False)
    )
    return ConfigurationError(f"Unusable setting: {problems}")
