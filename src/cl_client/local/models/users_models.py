"""The user's own store of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client.local.models.settings import model_settings
from cl_client.local.models.store import ModelStore, default_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVERS_FOLDER: Final = Path("~/.cache/cl_ml_tools/models")
"""The folder in which CL Servers keep the same models under the same names."""


def users_models(folder: Path | None = None, overrides: Mapping[str, Path] | None = None) -> ModelStore:
    """Return the user's model store.

    A folder given here or in the environment is the only one that is searched. Otherwise the models of a
    CL Server on this machine are found, too.

    Args:
        folder: The folder of models; None for the one in the environment or, without one, `default_folder`.
        overrides: Files to use instead, by the model's name.

    Returns:
        The store, with absolute paths.
    """
    named = folder or model_settings().models
    return ModelStore(
        # Absolute, so that the caller may change its working folder later.
        folder=(named or default_folder()).expanduser().absolute(),
        overrides={name: path.expanduser().absolute() for name, path in (overrides or {}).items()},
        fallback=SERVERS_FOLDER.expanduser() if named is None else None,
    )
