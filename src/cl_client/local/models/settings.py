"""Environment variables for models: the folder that holds them, and the mirror to download them from."""

from __future__ import annotations

from pathlib import Path

from pydantic import HttpUrl, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cl_client._config.setting_errors import configuration_error


class ModelSettings(BaseSettings):
    """Settings of the models from the environment.

    Attributes:
        models: ``CL_CLIENT_MODELS``, the folder to use instead of `default_folder`.
        models_mirror: ``CL_CLIENT_MODELS_MIRROR``, a URL that serves the models by their file names, for
            networks that cannot reach the public URLs.
    """

    model_config = SettingsConfigDict(
        env_prefix="CL_CLIENT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    models: Path | None = None
    models_mirror: HttpUrl | None = None


def model_settings() -> ModelSettings:
    """Read the environment.

    Returns:
        The settings.

    Raises:
        ConfigurationError: The mirror is not a valid URL.
    """
    try:
        return ModelSettings()
    except ValidationError as exc:
        error = configuration_error(exc)
    raise error
