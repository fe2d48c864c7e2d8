"""The settings file `cl-client.toml`: its location, its allowed content, and its profiles."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import yaml
from platformdirs import user_config_path
from pydantic import JsonValue, TypeAdapter, ValidationError

from cl_client import ComputeClientConfig, ConfigurationError
from cl_client_cli.settings.path_map import PATH_MAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_NAME: Final = "cl-client.toml"
CONFIG_VARIABLE: Final = "CL_CLIENT_CONFIG"
CLIENT_SETTINGS: Final = tuple(ComputeClientConfig.model_fields)
OWN_SETTINGS: Final = ("auth_url", "username", "profile", PATH_MAP)
"""The settings of the command line, in addition to those of the client."""

_T = TypeVar("_T")

_KNOWN: Final = (*CLIENT_SETTINGS, *OWN_SETTINGS)
_PROFILES: Final = "profiles"
_SECRETS: Final = frozenset({"http_password", "mqtt_password", "extra_headers"})
_SECRET_WORDS: Final = ("password", "passwd", "passphrase", "token", "secret", "credential", "api_key")
"""An unknown name that contains one of these words is treated as a secret."""
_URLS: Final = frozenset({"base_url", "mqtt_broker", "auth_url", "proxy"})
_CONTENT: Final = TypeAdapter(dict[str, JsonValue])
_SECTIONS: Final = TypeAdapter(dict[str, dict[str, JsonValue]])


def searched_files(given: Path | None) -> list[Path]:
    """The paths of the settings files; later ones take precedence.

    Args:
        given: The file of ``--config``; None for the one of CL_CLIENT_CONFIG or the default files.

    Returns:
        The paths; the files need not exist.
    """
    if given is None and (named := os.environ.get(CONFIG_VARIABLE)):
        given = Path(named)
    if given is not None:
        return [given.expanduser()]  # a variable that no shell has set may contain "~"
    return [user_file(), folder_file()]


def user_file() -> Path:
    """The path of the settings file in the user's config folder.

    Returns:
        The path; the file may not exist.
    """
    return user_config_path("cl-client", appauthor=False) / FILE_NAME


def folder_file() -> Path:
    """The path of the settings file in the current folder.

    Returns:
        The absolute path; the file may not exist.
    """
    return Path(FILE_NAME).absolute()


def environment_variables(name: str) -> tuple[str, ...]:
    """The environment variables for a setting.

    Args:
        name: The name of the setting.

    Returns:
        The names of the variables; the first one takes precedence.
    """
    field = ComputeClientConfig.model_fields.get(name)
    alias = None if field is None else field.validation_alias
    own = f"CL_CLIENT_{name.upper()}"
    return (alias, own) if isinstance(alias, str) else (own,)


def near_matches(name: str, known: tuple[str, ...]) -> str:
    """Suggest similar names for a misspelt one.

    Args:
        name: The name that was given.
        known: The valid names.

    Returns:
        ``did you mean ...?``; empty if no name is similar.
    """
    near = difflib.get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


class SettingsFile:
    """A settings file; it is read and checked at once.

    Args:
        path: The file.

    Raises:
        ConfigurationError: The file cannot be read, or contains an unknown setting or a secret.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = _validated(
            _CONTENT, _read(path), f"{path}: the file must contain names of settings and their values"
        )
        sections = content.pop(_PROFILES, None) or {}
        rule = f"{path}: {_PROFILES} must be sections, [{_PROFILES}.NAME]"
        self._profiles = _validated(_SECTIONS, sections, rule)
        self._top = content
        check_settings(str(path), self._top)
        for name, section in self._profiles.items():
            where = self._section(name)
            check_settings(where, section)
            if "profile" in section:
                raise ConfigurationError(
                    f"{where}: profile cannot be set inside a profile; set it at the top of the file"
                )

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of its profiles."""
        return tuple(self._profiles)

    def top_values(self) -> Iterator[tuple[str, JsonValue, str]]:
        """The settings outside of profiles.

        Yields:
            The name, the value and the origin of each setting.
        """
        for name, value in self._anchored(self._top).items():
            yield name, value, str(self.path)

    def profile_values(self, profile: str) -> Iterator[tuple[str, JsonValue, str]]:
        """The settings of a profile; none if the file does not have it.

        Args:
            profile: The name of the profile.

        Yields:
            The name, the value and the origin of each setting.
        """
        for name, value in self._anchored(self._profiles.get(profile, {})).items():
            yield name, value, self._section(profile)

    def _anchored(self, values: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        folder = self.path.absolute().parent
        anchored = ComputeClientConfig.anchor_paths(values, folder)
        pairs = values.get(PATH_MAP)
        if not isinstance(pairs, dict):
            return anchored
        return {**anchored, PATH_MAP: {str(folder / Path(it).expanduser()): pairs[it] for it in pairs}}

    def _section(self, profile: str) -> str:
        return f"{self.path} [{_PROFILES}.{profile}]"


def check_settings(where: str, values: Mapping[str, JsonValue]) -> None:
    """Check that settings are allowed in a file.

    Args:
        where: The file, and the section if any, for messages.
        values: The settings by name.

    Raises:
        ConfigurationError: A setting is unknown, is a secret, or is not a string where it has to be one.
    """
    for name, value in values.items():
        _refuse_secret(where, name, value)
        if name not in _KNOWN:
            hint = near_matches(name, _KNOWN) or "cl-client config show --all lists them"
            raise ConfigurationError(f"{where}: unknown setting {name!r}; {hint}")
        if name == "profile" and isinstance(value, dict):
            raise ConfigurationError(
                f"{where}: profile must be a name; the sections of profiles are [{_PROFILES}.NAME]"
            )
        if name == PATH_MAP:
            _check_pairs(where, value)
        elif name in OWN_SETTINGS and not isinstance(value, str | None):
            raise ConfigurationError(f"{where}: {name} must be a string, in quotation marks")


def _check_pairs(where: str, value: JsonValue) -> None:
    if value is not None and not (
        isinstance(value, dict) and all(isinstance(it, str) for it in value.values())
    ):
        raise ConfigurationError(
            f"{where}: {PATH_MAP} must name folders here and on the server: "
            f'{PATH_MAP} = {{ "/mnt/nas" = "/volume1/photos" }}'
        )


def _refuse_secret(where: str, name: str, value: JsonValue) -> None:
    spelled = name.lower().replace("-", "_")
    is_known = spelled in _KNOWN
    by_name = spelled in _SECRETS or (not is_known and any(word in spelled for word in _SECRET_WORDS))
    if by_name or (spelled in _URLS and isinstance(value, str) and _has_login(value)):
        variable = environment_variables(spelled)[0] if is_known else "CL_CLIENT_PASSWORD"
        raise ConfigurationError(
            f"{where}: {name} contains a secret, and settings files must not contain secrets. Log in with "
            f"cl-client login, or set the environment variable {variable}"
        )


def _has_login(url: str) -> bool:
    """Whether there is an ``@`` before the path. Split by hand: an invalid URL may contain a secret too."""
    return "@" in url.partition("://")[2 if "://" in url else 0].partition("/")[0]


def _validated(adapter: TypeAdapter[_T], value: object, rule: str) -> _T:
    try:
        return adapter.validate_python(value)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{rule} ({place or 'the whole file'}: {first['msg']})") from None


def _read(path: Path) -> object:
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise ConfigurationError(f"{path}: the name of a settings file must end in .toml, .yaml or .yml")
    try:
        text = path.read_text(encoding="utf-8-sig")
        loaded = cast("object", tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text))
    except yaml.MarkedYAMLError as exc:
        # The parser's own message quotes the line, which may contain a secret.
        line = "" if exc.problem_mark is None else f"line {exc.problem_mark.line + 1}: "
        raise ConfigurationError(f"{path}: cannot be read: {line}{exc.problem}") from None
    except (OSError, ValueError, yaml.YAMLError) as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc}") from exc
    return {} if loaded is None else loaded
