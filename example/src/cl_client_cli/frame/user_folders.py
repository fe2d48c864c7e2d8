"""The folders in which the command line stores its data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from platformdirs import user_cache_path, user_data_path

if TYPE_CHECKING:
    from collections.abc import Callable

DATA_DIR_VARIABLE: Final = "CL_CLIENT_DATA_DIR"
CACHE_DIR_VARIABLE: Final = "CL_CLIENT_CACHE_DIR"


def data_folder() -> Path:
    """The folder for data: the user's data folder, or CL_CLIENT_DATA_DIR.

    Returns:
        The folder, which may not exist yet.
    """
    return _folder(DATA_DIR_VARIABLE, user_data_path)


def cache_folder() -> Path:
    """The folder for what can be computed again: the user's cache folder, or CL_CLIENT_CACHE_DIR.

    Returns:
        The folder, which may not exist yet.
    """
    return _folder(CACHE_DIR_VARIABLE, user_cache_path)


def _folder(variable: str, default: Callable[..., Path]) -> Path:
    given = os.environ.get(variable)
    return Path(given).expanduser() if given else default("cl-client", appauthor=False)
