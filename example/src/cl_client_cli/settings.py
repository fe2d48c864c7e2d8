"""The settings of a command: from files, the environment and flags, each with where it came from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from cl_client import ComputeClientConfig, ConfigurationError
from cl_client_cli.settings_file import CLIENT_SETTINGS, OWN_SETTINGS, SettingsFile, searched_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cl_client_cli.options import ConnectionOptions

DEFAULT: Final = "default"

_PROFILE_VARIABLE: Final = "CL_CLIENT_PROFILE"
_FLAGS: Final = {
    "base_url": "server",
    "mqtt_broker": "mqtt",
    "ca_file": "ca_file",
    "auth_url": "auth_url",
    "username": "user",
    "profile": "profile",
}
"""The settings that have a flag, by its name in `ConnectionOptions`."""
_MASK: Final = "***"


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting.

    Attributes:
        name: Its name.
        value: Its value as it may be shown: secrets are masked.
        origin: Where the value came from.
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a command.

    Attributes:
        client: Those of the client.
        auth_url: The auth service; None for none.
        username: Whose login is used; None for that of the last one.
        profile: The profile that was taken; None for none.
        values: Every setting, to be shown.
    """

    client: ComputeClientConfig
    auth_url: str | None
    username: str | None
    profile: str | None
    values: tuple[SettingValue, ...]

    def is_default(self, name: str) -> bool:
        """Whether nobody has configured a setting."""
        return all(it.origin == DEFAULT for it in self.values if it.name == name)


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str


def load_settings(connection: ConnectionOptions) -> Settings:
    """Put the settings together.

    Raises:
        ConfigurationError: Something is unknown or unusable; the message says where it came from.
    """
    files = _read_files(connection)
    profile = _profile(connection, files)
    given = {
        **{name: _Given(value, origin) for file in files for name, value, origin in file.values(profile)},
        **_from_environment(),
        **_from_flags(connection),
    }
    if "base_url" in given and "mqtt_broker" not in given:
        host = urlsplit(str(given["base_url"].value)).hostname
        given["mqtt_broker"] = _Given(host, "the server's host")
    client = _client_config(given)
    own = {name: given[name].value for name in OWN_SETTINGS if name in given}
    auth_url, username = own.get("auth_url"), own.get("username")
    return Settings(
        client,
        None if auth_url is None else str(auth_url),
        None if username is None else str(username),
        profile,
        tuple(_shown(client, given)),
    )


def _read_files(connection: ConnectionOptions) -> list[SettingsFile]:
    paths = searched_files(connection.config)
    # A file that was named has to be there; those that are looked for need not.
    return [SettingsFile(path) for path in paths if len(paths) == 1 or path.is_file()]


def _profile(connection: ConnectionOptions, files: list[SettingsFile]) -> str | None:
    by_default = next((file.profile for file in reversed(files) if file.profile is not None), None)
    profile = connection.profile or os.environ.get(_PROFILE_VARIABLE) or by_default
    known = [name for file in files for name in file.profiles]
    if profile is not None and profile not in known:
        where = ", ".join(str(file.path) for file in files) or "any settings file"
        raise ConfigurationError(
            f"there is no profile {profile!r} in {where}; there is {', '.join(known) or 'none'}"
        )
    return profile


def environment_variable(name: str) -> str:
    """The variable of a setting."""
    field = ComputeClientConfig.model_fields.get(name)
    alias = None if field is None else field.validation_alias
    return alias if isinstance(alias, str) else f"CL_CLIENT_{name.upper()}"


def _from_environment() -> dict[str, _Given]:
    variables = {name: environment_variable(name) for name in (*CLIENT_SETTINGS, *OWN_SETTINGS)}
    return {
        name: _Given(os.environ[variable], f"environment {variable}")
        for name, variable in variables.items()
        if os.environ.get(variable)
    }


def _from_flags(connection: ConnectionOptions) -> dict[str, _Given]:
    values = {name: cast("object", getattr(connection, option)) for name, option in _FLAGS.items()}
    return {
        name: _Given(value, f"flag --{_FLAGS[name].replace('_', '-')}")
        for name, value in values.items()
        if value is not None
    }


def _client_config(given: Mapping[str, _Given]) -> ComputeClientConfig:
    """The client's own settings; it reads the environment itself, which may hold JSON."""
    values = {
        name: it.value
        for name, it in given.items()
        if name in CLIENT_SETTINGS and not it.origin.startswith("environment")
    }
    try:
        return ComputeClientConfig.create(**values)
    except ConfigurationError as exc:
        origins = sorted({it.origin for name, it in given.items() if _names(exc, name)})
        raise ConfigurationError(f"{exc} (from {', '.join(origins)})" if origins else str(exc)) from None


def _names(error: ConfigurationError, name: str) -> bool:
    return f"{name}:" in str(error) or f"{environment_variable(name)}:" in str(error)


def _shown(client: ComputeClientConfig, given: Mapping[str, _Given]) -> Iterator[SettingValue]:
    for name in (*CLIENT_SETTINGS, *OWN_SETTINGS):
        value = cast("object", getattr(client, name, given[name].value if name in given else None))
        origin = given[name].origin if name in given else DEFAULT
        yield SettingValue(name, _masked(value), origin)


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_masked(it)}" for name, it in cast("dict[str, object]", value).items())
    return "" if value is None else str(value)
