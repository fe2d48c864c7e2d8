"""The settings of a command: from files, the environment and flags, each with its origin."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from pydantic import SecretStr

from cl_client import ComputeClientConfig, ConfigurationError
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.settings.path_map import NO_MAP, PATH_MAP, PathMap, parsed_pairs
from cl_client_cli.settings.settings_file import (
    CLIENT_SETTINGS,
    OWN_SETTINGS,
    SettingsFile,
    environment_variables,
    folder_file,
    near_matches,
    searched_files,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cl_client_cli.frame.options import ConnectionOptions

DEFAULT: Final = "default"

_FLAGS: Final = {
    "base_url": "server",
    "mqtt_broker": "mqtt",
    "ca_file": "ca_file",
    "auth_url": "auth_url",
    "username": "user",
    "profile": "profile",
    PATH_MAP: "path_map",
}
"""The settings that have a flag, by its name in `ConnectionOptions`."""
_MASK: Final = "***"
_URL_LOGIN: Final = re.compile(r"(?<=//).*@")
_URL_OF_LOGIN: Final = {
    "http_username": "base_url",
    "http_password": "base_url",
    "mqtt_username": "mqtt_broker",
    "mqtt_password": "mqtt_broker",
}
"""The settings that the client takes from the user part of a URL, and the setting with that URL."""


_SECRETS: Final = (*_URL_OF_LOGIN, "extra_headers")
"""The settings that the client ignores if they were set for another server."""


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting.

    Attributes:
        name: Its name.
        value: Its value for display: secrets are masked.
        origin: Where the value was set.
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a command.

    Attributes:
        client: The settings of the client.
        auth_url: The URL of the auth service; None for none.
        username: The user whose login is used; None for the user who logged in last.
        profile: The profile in use; None for none.
        path_map: The server's folders for folders of this machine.
        values: All settings, for display.
        from_folder: The settings from the file in the current folder, which anybody may have put there.
    """

    client: ComputeClientConfig
    auth_url: str | None
    username: str | None
    profile: str | None
    path_map: PathMap
    values: tuple[SettingValue, ...]
    from_folder: frozenset[str]

    def is_default(self, name: str) -> bool:
        """Check whether a setting has its default value because it was not set.

        Args:
            name: The name of the setting.

        Returns:
            Whether it has.
        """
        return all(it.origin == DEFAULT for it in self.values if it.name == name)


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str
    by_folder: bool = False


def refuse_local(connection: ConnectionOptions) -> None:
    """Reject ``--local`` for a command that does not submit jobs.

    Args:
        connection: Where the server is, and which login to use.

    Raises:
        UsageError: ``--local`` was given.
    """
    if connection.local:
        raise UsageError("--local: not supported by this command, as it submits no jobs; remove it")


def load_settings(connection: ConnectionOptions, *, takes_local: bool = False) -> Settings:
    """Combine the settings of files, the environment and flags.

    Args:
        connection: The flags.
        takes_local: Whether the command can run on a temporary local server.

    Returns:
        The settings.

    Raises:
        ConfigurationError: A setting is unknown or invalid; the message names its origin.
        UsageError: ``--local`` was given, and the command does not support it.
    """
    if not takes_local:
        refuse_local(connection)
    paths = searched_files(connection.config)
    # A file that was named has to exist; the default files need not.
    files = [SettingsFile(path) for path in paths if len(paths) == 1 or path.is_file()]
    nearby = folder_file() if len(paths) > 1 else None
    top = _collected((file.path == nearby, file.top_values()) for file in files)
    strong = {**_from_environment(), **_from_flags(connection)}
    profile = _text({**top, **strong}, "profile")
    if profile is not None:
        known = tuple(dict.fromkeys(name for file in files for name in file.profiles))
        _check_profile(profile, known, ", ".join(map(str, paths)))
        # The chosen profile overrides the top level of every file, whichever file it is in.
        top |= _collected((file.path == nearby, file.profile_values(profile)) for file in files)
    given = {name: it for name, it in {**top, **strong}.items() if it.value is not None}
    client = _client_config(given)
    return Settings(
        client,
        _text(given, "auth_url"),
        _text(given, "username"),
        profile,
        _path_map(given),
        tuple(_shown(client, given)),
        frozenset(name for name, it in given.items() if it.by_folder),
    )


def _path_map(given: Mapping[str, _Given]) -> PathMap:
    """The map of folders; a text comes from the environment, texts from the command line."""
    if PATH_MAP not in given:
        return NO_MAP
    value, origin = given[PATH_MAP].value, given[PATH_MAP].origin
    texts = (value,) if isinstance(value, str) else value
    if isinstance(texts, tuple):
        return PathMap.of(parsed_pairs(cast("tuple[str, ...]", texts), origin), origin)
    return PathMap.of(cast("Mapping[str, str]", value), origin)


def _collected(files: Iterable[tuple[bool, Iterator[tuple[str, JsonValue, str]]]]) -> dict[str, _Given]:
    return {
        name: _Given(value, origin, by_folder)
        for by_folder, values in files
        for name, value, origin in values
    }


def _text(given: Mapping[str, _Given], name: str) -> str | None:
    value = given[name].value if name in given else None
    return None if value is None else str(value)


def _check_profile(profile: str, known: tuple[str, ...], where: str) -> None:
    if profile not in known:
        existing = f"existing profiles: {', '.join(known)}" if known else "no profiles are defined"
        hint = near_matches(profile, known) or existing
        raise ConfigurationError(f"{where}: profile {profile!r} not found; {hint}")


def _from_environment() -> dict[str, _Given]:
    # The client ignores the case of a variable's name, and treats an empty value as not set.
    present = {variable.upper(): value for variable, value in os.environ.items() if value}
    return {
        name: _Given(present[variable], f"environment {variable}")
        for name in (*CLIENT_SETTINGS, *OWN_SETTINGS)
        for variable in reversed(environment_variables(name))
        if variable in present
    }


def _from_flags(connection: ConnectionOptions) -> dict[str, _Given]:
    values = {name: cast("object", getattr(connection, option)) for name, option in _FLAGS.items()}
    return {
        name: _Given(value, f"flag --{_FLAGS[name].replace('_', '-')}")
        for name, value in values.items()
        if value not in {None, ()}
    }


def _client_config(given: Mapping[str, _Given]) -> ComputeClientConfig:
    """The client's settings; it reads the environment itself, as variables may contain JSON."""
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
    spellings = "|".join((name, *environment_variables(name)))
    return re.search(rf"(?<!\w)(?:{spellings})(?=[.:\"])", str(error)) is not None


def _shown(client: ComputeClientConfig, given: Mapping[str, _Given]) -> Iterator[SettingValue]:
    for name in CLIENT_SETTINGS:
        value = cast("object", getattr(client, name))
        if name == "mqtt_broker" and value is None:
            origin = "the host of base_url" if "base_url" in given else DEFAULT
            yield SettingValue(name, str(client.mqtt_address), origin)
            continue
        yield SettingValue(name, _masked(value), _origin(name, value, given))
    for name in OWN_SETTINGS:
        value = ", ".join(_path_map(given).as_options()) if name == PATH_MAP else _text(given, name)
        yield SettingValue(name, _masked(value), _origin(name, value, given))


def _origin(name: str, value: object, given: Mapping[str, _Given]) -> str:
    url = _URL_OF_LOGIN.get(name, "")
    if url in given and value is not None and "@" in str(given[url].value):
        return given[url].origin  # a login in a URL overrides a separate one
    if name not in given:
        return DEFAULT
    origin = given[name].origin
    return origin if value or name not in _SECRETS else f"{origin}, ignored: set for another server"


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_masked(it)}" for name, it in cast("dict[str, object]", value).items())
    return "" if value is None else _URL_LOGIN.sub(f"{_MASK}@", str(value))
