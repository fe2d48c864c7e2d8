"""Where the ONNX models of the local server's tasks are found on this machine."""

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
    """A model is missing or damaged; the message says what to put where, and how."""


def default_folder() -> Path:
    """Where models are kept unless told otherwise: in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("cl_client", appauthor=False)) / "models"


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Finds models on this machine. Nothing but `pull` ever downloads.

    Attributes:
        folder: Where models are kept, by the names of the table.
        overrides: Files to use instead, by the model's name; used as they are.
        fallback: Another program's folder of the same models; its files are used as they are.
    """

    folder: Path
    overrides: Mapping[str, Path] = field(default_factory=dict[str, Path])
    fallback: Path | None = None

    def find(self, name: str) -> Path | None:
        """The file of a model, None where it is not there. Cheap: it looks no further than the name.

        Raises:
            KeyError: There is no such model.
        """
        if name in self.overrides:
            places = [self.overrides[name]]
        else:
            model = MODELS[name]
            places = [model.path_in(folder) for folder in (self.folder, self.fallback) if folder is not None]
        return next((path for path in places if path.is_file()), None)

    def require(self, name: str) -> Path:
        """The file of a model, compared with its SHA-256 when a process first asks for it.

        Raises:
            ModelUnavailableError: It is missing or damaged; the message says what to put where, and how.
            KeyError: There is no such model.
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
                f"{path.name} is damaged or another file: its SHA-256 is {digest}, expected is {expected}. "
                f"Remove {path} and fetch it again with: {self._pull_command(name)}"
            )
        return path

    async def pull(self, name: str, on_progress: ByteProgress | None = None) -> Path:
        """Fetch a model, unless it exists already, undamaged.

        Args:
            name: The model's.
            on_progress: Called with the bytes so far and the total, None where the server did not say it.

        Raises:
            ModelDownloadError: It cannot be had, or it is not the file it should be; nothing is left behind.
            OSError: It cannot be written.
            KeyError: There is no such model.
        """
        from cl_client.local.models.download import (
            download,  # brings httpx, which worker processes do without
        )

        found = await asyncio.to_thread(self._find_undamaged, name)
        return found if found is not None else await download(MODELS[name], self.folder, on_progress)

    def target(self, name: str) -> Path:
        """Where a model belongs, whether it is there or not."""
        return MODELS[name].path_in(self.folder)

    def expected_digest(self, name: str) -> str | None:
        """The SHA-256 that a model's file must have.

        It is the published one or, where there is none, that of the first download, recorded beside the file.
        None before that.
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
            return f"The file that is configured as model {name} is not there: {override}"
        model = MODELS[name]
        return (
            f"{model.file_name} is not there. Fetch it with: {self._pull_command(name)} "
            f"- or save {model.url} as {self.target(name)}"
        )

    def _pull_command(self, name: str) -> str:
        elsewhere = "" if self.folder == default_folder() else f' --models-dir "{self.folder}"'
        return f"cl-client models pull {name}{elsewhere}"
