"""Where the user's models are kept and fetched from, as the environment says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import HttpUrl, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cl_client.config import configuration_error
from cl_client.local.models.store import ModelStore, default_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVERS_FOLDER: Final = Path("~/.cache/cl_ml_tools/models")
"""Where CL Servers keep the same models under the same names."""


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


def users_models(folder: Path | None = None, overrides: Mapping[str, Path] | None = None) -> ModelStore:
    """The user's model store.

    A folder that is named, here or in the environment, is the only one that is used. Otherwise models that a
    CL Server has on this machine are found, too.

    Args:
        folder: Where models are kept; None for what the environment says, or else `default_folder`.
        overrides: Files to use instead, by the model's name.
    """
    named = folder or model_settings().models
    return ModelStore(
        # Absolute, so that changing the working folder later changes nothing.
        folder=(named or default_folder()).expanduser().absolute(),
        overrides={name: path.expanduser().absolute() for name, path in (overrides or {}).items()},
        fallback=SERVERS_FOLDER.expanduser() if named is None else None,
    )
