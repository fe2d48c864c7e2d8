"""Temporary folders, which also a process that ends at once takes along."""

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
    """A folder that is there meanwhile."""
    with TemporaryDirectory(prefix="cl-client-") as name:
        folder = Path(name)
        _there.add(folder)
        try:
            yield folder
        finally:
            _there.discard(folder)


def remove_temporary_folders() -> None:
    """Remove the folders that are there: nobody will leave their blocks any more."""
    for folder in tuple(_there):
        shutil.rmtree(folder, ignore_errors=True)
