"""Settings files: TOML and YAML, with errors that never quote a possible secret."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, cast

from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_settings(path: Path) -> dict[str, object]:
    """Read a settings file. The settings are not validated.

    Args:
        path: A ``.toml``, ``.yaml`` or ``.yml`` file in UTF-8.

    Returns:
        The settings by name.

    Raises:
        ConfigurationError: The file is not found, not readable, or does not map names to values.
    """
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise ConfigurationError(f"{path}: the name of a configuration file must end in .toml, .yaml or .yml")
    if not path.is_file():
        raise ConfigurationError(f"{path}: configuration file not found")
    try:
        text = path.read_text(encoding="utf-8-sig")
        loaded = tomllib.loads(text) if path.suffix == ".toml" else _from_yaml(text)
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{path}: {exc}") from None
    settings = cast("Mapping[object, object]", {} if loaded is None else loaded)
    if not isinstance(loaded, dict | None) or not all(isinstance(name, str) for name in settings):
        raise ConfigurationError(f"{path}: the file must contain names of settings and their values")
    return dict(cast("Mapping[str, object]", settings))


def _from_yaml(text: str) -> object:
    import yaml

    try:
        return cast("object", yaml.safe_load(text))
    except yaml.YAMLError as exc:
        # yaml's own message may quote the file, and so a secret.
        mark = exc.problem_mark if isinstance(exc, yaml.MarkedYAMLError) else None
        place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        reason = "invalid YAML; put text that contains : # * & ! or quotes into quotes"
        raise ConfigurationError(f"{place}{reason}") from None
