"""What the environment says of the models: where they are kept, and where they are fetched from."""

from __future__ import annotations

from pathlib import Path

from pydantic import HttpUrl, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cl_client.config import configuration_error


class ModelSettings(BaseSettings):
    """What the environment says of the models.

    Attributes:
        models: ``CL_CLIENT_MODELS``, the folder to use in place of `default_folder`.
        models_mirror: ``CL_CLIENT_MODELS_MIRROR``, a URL below which the models are, by their file names:
            for networks without a way to their public addresses.
    """

    model_config = SettingsConfigDict(
        env_prefix="CL_CLIENT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    models: Path | None = None
    models_mirror: HttpUrl | None = None


def model_settings() -> ModelSettings:
    """Read the environment.

    Raises:
        ConfigurationError: The mirror is no URL.
    """
    try:
        return ModelSettings()
    except ValidationError as exc:
        raise configuration_error(exc) from None
