"""The settings file `cl-client.toml`: where it is, what may be in it, and its profiles."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import yaml
from platformdirs import user_config_path

from cl_client import ComputeClientConfig, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

FILE_NAME: Final = "cl-client.toml"
CONFIG_VARIABLE: Final = "CL_CLIENT_CONFIG"
CLIENT_SETTINGS: Final = tuple(ComputeClientConfig.model_fields)
OWN_SETTINGS: Final = ("auth_url", "username", "profile")
"""What the command line has beside the settings of the client."""

_PROFILES: Final = "profiles"
_SECRETS: Final = frozenset(
    {"http_password", "mqtt_password", "extra_headers", "password", "token", "secret"}
)
_URLS: Final = frozenset({"base_url", "mqtt_broker", "auth_url", "proxy"})


def searched_files(given: Path | None) -> list[Path]:
    """The settings files, those that win last; not all of them need to exist."""
    if given is None and (named := os.environ.get(CONFIG_VARIABLE)):
        given = Path(named)
    if given is not None:
        return [given]
    return [user_file(), Path(FILE_NAME).absolute()]


def user_file() -> Path:
    """The settings file in the user's config folder."""
    return user_config_path("cl-client", appauthor=False) / FILE_NAME


class SettingsFile:
    """A settings file that was read and checked.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It cannot be read, or something in it is unknown or a secret.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = _read(path)
        profiles = content.pop(_PROFILES, {})
        if not isinstance(profiles, dict) or not all(isinstance(it, dict) for it in profiles.values()):
            raise ConfigurationError(f"{path}: {_PROFILES} must be sections, [{_PROFILES}.NAME]")
        self._top = content
        self._profiles = cast("Mapping[str, dict[str, JsonValue]]", profiles)
        for section in (self._top, *self._profiles.values()):
            for name, value in section.items():
                self._check(name, value)

    @property
    def profile(self) -> str | None:
        """The profile that the file takes by default."""
        name = self._top.get("profile")
        return str(name) if name is not None else None

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of its profiles."""
        return tuple(self._profiles)

    def values(self, profile: str | None) -> Iterator[tuple[str, JsonValue, str]]:
        """The settings, those that win last: name, value, and where that stands."""
        for name, value in self._top.items():
            yield name, value, str(self.path)
        if profile is not None:
            for name, value in self._profiles.get(profile, {}).items():
                yield name, value, f"{self.path} [{_PROFILES}.{profile}]"

    def _check(self, name: str, value: JsonValue) -> None:
        if name in _SECRETS or (name in _URLS and isinstance(value, str) and _has_password(value)):
            variable = f"CL_CLIENT_{name.upper()}"
            raise ConfigurationError(
                f"{self.path}: {name} holds a secret, and a file is no place for one. Users log in with "
                f"cl-client login; anything else goes into the environment, here {variable}"
            )
        known = (*CLIENT_SETTINGS, *OWN_SETTINGS)
        if name not in known:
            near = difflib.get_close_matches(name, known)
            hint = f"did you mean {' or '.join(near)}?" if near else "cl-client config show --all lists them"
            raise ConfigurationError(f"{self.path}: there is no setting {name!r}; {hint}")


def _has_password(url: str) -> bool:
    return "@" in (urlsplit(url).netloc if "://" in url else url.partition("/")[0])


def _read(path: Path) -> dict[str, JsonValue]:
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise ConfigurationError(f"{path}: a settings file ends in .toml, .yaml or .yml")
    try:
        text = path.read_text(encoding="utf-8")
        loaded = cast("object", tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text))
    except (OSError, ValueError, yaml.YAMLError) as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc}") from exc
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"{path}: it must hold names and values")
    return cast("dict[str, JsonValue]", loaded)
