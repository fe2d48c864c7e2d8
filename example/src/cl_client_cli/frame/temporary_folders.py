"""Temporary folders that are removed even if the process ends immediately."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_there: Final = set[Path]()


@contextmanager
def temporary_folder() -> Generator[Path]:
    """Create a temporary folder, and remove it when the context ends.

    Yields:
        The folder.
    """
    with TemporaryDirectory(prefix="cl-client-") as name:
        folder = Path(name)
        _there.add(folder)
        try:
            yield folder
        finally:
            _there.discard(folder)


def remove_temporary_folders() -> None:
    """Remove all temporary folders now, because the process ends without leaving their contexts."""
    for folder in tuple(_there):
        shutil.rmtree(folder, ignore_errors=True)
