"""The settings of a local server."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from cl_client._config.loopback import is_loopback
from cl_client.local.generations import DIALECTS, Dialect, Generation
from cl_client.local.models.catalog import MODELS
from cl_client.local.models.users_models import users_models
from cl_client.local.real_faults import with_real_faults
from cl_client.local.tasks import TASKS, TaskSpec
from cl_client.local.tasks.third_party import ThirdPartyTasks, load_third_party_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cl_client.local.auth.settings import AuthSettings
    from cl_client.local.models.store import ModelStore
    from cl_client.local.net.tls import ServerTLS
    from cl_client.local.tasks.job_hook import JobHook

DEFAULT_MAX_UPLOAD_BYTES = 4 * 1024**3

BrokerChoice: TypeAlias = Literal["auto", "mosquitto", "amqtt"]
"""What the embedded broker is; "auto" is Mosquitto where it is installed and starts, and amqtt elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServerSettings:
    """Settings of a local server. `cl_client.local.LocalServer` describes each of them."""

    host: str = "127.0.0.1"
    port: int = 0
    mqtt_url: str | None = None
    mqtt_port: int = 0
    broker: BrokerChoice = "auto"
    data_dir: Path | None = None
    workers: int | None = None
    generation: Generation = "C"
    strict_wire: bool = True
    real_faults: bool = False
    max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES
    tasks: Sequence[str] | None = None
    extra_tasks: Mapping[str, TaskSpec] = field(default_factory=dict[str, TaskSpec])
    third_party_tasks: bool = True
    heartbeat_interval: float | None = None
    poll_interval: float | None = None
    models: ModelStore = field(default_factory=users_models)
    auth: AuthSettings | None = None
    tls: ServerTLS | None = None
    mqtt_auth: bool = False
    shared: Sequence[Path] = ()
    before_job: JobHook | None = None
    _third_party: ThirdPartyTasks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings before anything is started.

        Raises:
            ValueError: A setting is out of range or names an unknown task or model.
            ConfigurationError: A task of another package that ``tasks`` names cannot be offered.
        """
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}; it must be at least 1")
        if self.generation not in DIALECTS:
            raise ValueError(f"generation is {self.generation!r}; it must be one of {', '.join(DIALECTS)}")
        if self.broker not in get_args(BrokerChoice):
            raise ValueError(
                f"broker is {self.broker!r}; it must be one of {', '.join(get_args(BrokerChoice))}"
            )
        above_zero = {
            "max_upload_bytes": self.max_upload_bytes,
            "poll_interval": self.poll_interval,
            "heartbeat": self.heartbeat,
        }
        for name, value in above_zero.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0")
        third_party = ThirdPartyTasks()
        if self.third_party_tasks:
            models = {*MODELS, *self.models.overrides}
            third_party = load_third_party_tasks(self.tasks, self.extra_tasks, models)
        object.__setattr__(self, "_third_party", third_party)
        unknown = sorted(set(self.tasks or ()) - set(self._known_tasks))
        if unknown:
            known = ", ".join(sorted({*self._known_tasks, *third_party.names}))
            raise ValueError(f"Unknown tasks: {', '.join(unknown)}; known tasks: {known}")
        self._check_models()
        if self.mqtt_auth and (self.auth is None or self.mqtt_url is not None):
            raise ValueError("mqtt_auth needs auth=True and the embedded broker: remove mqtt_url")
        self._check_shared()

    def _check_shared(self) -> None:
        for folder in self.shared:
            if not folder.is_dir():
                raise ValueError(f"shared: {folder} is not a folder")
        if self.shared and self.auth is None and not is_loopback(self.host):
            raise ValueError(
                f"shared needs auth=True when host is {self.host!r}: without logins, folders are shared "
                "with programs on this machine only"
            )

    def _check_models(self) -> None:
        needed = {model for spec in self.offered_tasks.values() for model in spec.models}
        unknown = sorted(set(self.models.overrides) - set(MODELS) - needed)
        if unknown:
            raise ValueError(f"Unknown models: {', '.join(unknown)}; known models: {', '.join(MODELS)}")
        unnamed = sorted(needed - set(MODELS) - set(self.models.overrides))
        if unnamed:
            raise ValueError(f"No download URL for the models {', '.join(unnamed)}: pass their files")

    @property
    def dialect(self) -> Dialect:
        """The wire format of the generation."""
        return DIALECTS[self.generation]

    @property
    def worker_count(self) -> int:
        """The number of workers; one per core by default."""
        return self.workers if self.workers is not None else os.cpu_count() or 1

    @property
    def heartbeat(self) -> float:
        """Seconds between two announcements of a worker; by default the generation's."""
        interval = self.heartbeat_interval
        return interval if interval is not None else self.dialect.heartbeat_seconds

    @property
    def _known_tasks(self) -> dict[str, TaskSpec]:
        return {**TASKS, **self._third_party.specs, **self.extra_tasks}

    @property
    def unfit_tasks(self) -> Mapping[str, str]:
        """Why tasks of other packages are not offered, by name."""
        return self._third_party.unfit

    @property
    def offered_tasks(self) -> dict[str, TaskSpec]:
        """The generation's tasks by name, whether their models are present or not."""
        known = self._known_tasks
        if self.dialect.tasks_of_2025:
            known = {name: spec.for_generation_a() for name, spec in known.items()}
        if self.real_faults:
            faulty = TASKS.keys() - self.extra_tasks.keys()
            known = {
                name: with_real_faults(name, spec, self.generation) if name in faulty else spec
                for name, spec in known.items()
            }
        chosen = self.tasks if self.tasks is not None else tuple(known)
        return {name: known[name] for name in (*chosen, *self.extra_tasks)}

    def available_tasks(self) -> tuple[str, ...]:
        """List the offered tasks whose models are present. A job of another task fails and names the remedy.

        Returns:
            Task names, in the order of `offered_tasks`.
        """
        return tuple(
            name
            for name, spec in self.offered_tasks.items()
            if all(self.models.find(model) is not None for model in spec.models)
        )
