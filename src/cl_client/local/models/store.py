"""The ONNX models of the local server's tasks on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations, see `TaskRequest`
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from cl_client.local.models.catalog import MODELS
from cl_client.local.models.digest import digest_of

if TYPE_CHECKING:
    from cl_client.options import ByteProgress


class ModelUnavailableError(Exception):
    """A model is missing or damaged; the message says how to download it, and to which path."""


def default_folder() -> Path:
    """Return the default folder of models, in the user's cache folder.

    Returns:
        The path, which may not exist.
    """
    return Path(platformdirs.user_cache_dir("cl_client", appauthor=False)) / "models"


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Finds models on this machine. Only `pull` downloads.

    Attributes:
        folder: The folder of models, with the file names of the table.
        overrides: Files to use instead, by the model's name; their SHA-256 is not checked.
        fallback: Another program's folder of the same models; their SHA-256 is not checked.
    """

    folder: Path
    overrides: Mapping[str, Path] = field(default_factory=dict[str, Path])
    fallback: Path | None = None

    def find(self, name: str) -> Path | None:
        """Find the file of a model. Fast: it does not check the content.

        Args:
            name: The model's name.

        Returns:
            The path of the file; None if it was not found.

        Raises:
            KeyError: The model is unknown.
        """
        if name in self.overrides:
            places = [self.overrides[name]]
        else:
            model = MODELS[name]
            places = [model.path_in(folder) for folder in (self.folder, self.fallback) if folder is not None]
        return next((path for path in places if path.is_file()), None)

    def require(self, name: str) -> Path:
        """Find the file of a model, and check its SHA-256 once per process.

        Args:
            name: The model's name.

        Returns:
            The path of the file.

        Raises:
            ModelUnavailableError: The model is missing or damaged; the message says how to download it.
            KeyError: The model is unknown.
        """
        path = self.find(name)
        if path is None:
            raise ModelUnavailableError(self._missing(name))
        if name in self.overrides or path != self.target(name):
            return path
        try:
            expected, digest = self.expected_digest(name), digest_of(path)
        except OSError as exc:
            raise ModelUnavailableError(f"{path}: cannot be read: {exc.strerror}") from exc
        if expected not in {None, digest}:
            raise ModelUnavailableError(
                f"{path.name} is damaged or a different file: its SHA-256 is {digest}, expected {expected}. "
                f"Remove {path} and download it again with: {self._pull_command(name)}"
            )
        return path

    async def pull(self, name: str, on_progress: ByteProgress | None = None) -> Path:
        """Download a model unless it already exists undamaged.

        Args:
            name: The model's name.
            on_progress: Called with the bytes so far and the total, or None if the server does not send it.

        Returns:
            The path of the file.

        Raises:
            ModelDownloadError: The download failed, or the file is not the expected one; nothing is left
                behind.
            OSError: The file cannot be written.
            KeyError: The model is unknown.
        """
        from cl_client.local.models.download import (
            download,  # imports httpx, which worker processes do not need
        )

        found = await asyncio.to_thread(self._find_undamaged, name)
        return found if found is not None else await download(MODELS[name], self.folder, on_progress)

    def target(self, name: str) -> Path:
        """Return the path of a model in `folder`.

        Args:
            name: The model's name.

        Returns:
            The path, which may not exist.
        """
        return MODELS[name].path_in(self.folder)

    def expected_digest(self, name: str) -> str | None:
        """Return the SHA-256 that a model's file must have.

        It is the published one or, if there is none, that of the first download, recorded next to the file.

        Args:
            name: The model's name.

        Returns:
            The digest in hexadecimal; None before the first download.
        """
        return MODELS[name].expected_digest_in(self.folder)

    def _find_undamaged(self, name: str) -> Path | None:
        try:
            return self.require(name)
        except ModelUnavailableError:
            return None

    def _missing(self, name: str) -> str:
        override = self.overrides.get(name)
        if override is not None:
            return f"The file configured as model {name} was not found: {override}"
        model = MODELS[name]
        return (
            f"{model.file_name} was not found. Download it with: {self._pull_command(name)} "
            f"- or save {model.url} as {self.target(name)}"
        )

    def _pull_command(self, name: str) -> str:
        elsewhere = "" if self.folder == default_folder() else f' --models-dir "{self.folder}"'
        return f"cl-client models pull {name}{elsewhere}"
