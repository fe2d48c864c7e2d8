"""The user's own store of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client.local.models.settings import model_settings
from cl_client.local.models.store import ModelStore, default_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVERS_FOLDER: Final = Path("~/.cache/cl_ml_tools/models")
"""Where CL Servers keep the same models under the same names."""


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
