"""Settings files: TOML and YAML, with errors that quote none of what may be a secret."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, cast

from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_settings(path: Path) -> dict[str, object]:
    """What a file says, unchecked but for its names being text.

    Raises:
        ConfigurationError: It is missing or not readable, or holds something else than names and values.
    """
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise ConfigurationError(f"{path}: a configuration file ends in .toml, .yaml or .yml")
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such configuration file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        loaded = tomllib.loads(text) if path.suffix == ".toml" else _from_yaml(text)
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{path}: {exc}") from None
    settings = cast("Mapping[object, object]", {} if loaded is None else loaded)
    if not isinstance(loaded, dict | None) or not all(isinstance(name, str) for name in settings):
        raise ConfigurationError(f"{path}: it must hold names of settings and their values")
    return dict(cast("Mapping[str, object]", settings))


def _from_yaml(text: str) -> object:
    import yaml

    try:
        return cast("object", yaml.safe_load(text))
    except yaml.YAMLError as exc:
        # Its own words may quote what is there, which may be a secret.
        mark = exc.problem_mark if isinstance(exc, yaml.MarkedYAMLError) else None
        place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        reason = "this is no YAML; text with : # * & ! or quotes in it has to stand in quotes"
        raise ConfigurationError(f"{place}{reason}") from None
