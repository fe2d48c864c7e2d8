"""The ONNX models of the local server's tasks: what they are, where they come from, where they are found."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations, see `TaskRequest`
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from cl_client.local.tasks.contract import TaskFailedError

if TYPE_CHECKING:
    from cl_client.transfers import ByteProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One public model.

    Attributes:
        name: What it is called here and on the command line.
        url: Its public address.
        file_name: What it is called on the disk; real servers use the same names.
        summary: What it is.
        licence: None where its page has to be read.
        sha256: In hexadecimal; None where none is published, see `ModelStore.expected_digest`.
        size: Bytes, where known.
    """

    name: str
    url: str
    file_name: str
    summary: str
    licence: str | None = None
    sha256: str | None = None
    size: int | None = None


MODELS: Final[dict[str, ModelFile]] = {
    model.name: model
    for model in (
        ModelFile(
            name="mobileclip",
            url="https://huggingface.co/Xenova/mobileclip_blt/resolve/main/onnx/vision_model.onnx",
            file_name="mobileclip_blt_vision_model.onnx",
            summary="MobileCLIP-B (LT), the part that reads pictures; for clip_embedding",
        ),
        ModelFile(
            name="dinov2",
            url="https://huggingface.co/sefaburak/dinov2-small-onnx/resolve/main/dinov2_vits14.onnx",
            file_name="dinov2_vits14.onnx",
            summary="DINOv2 ViT-S/14; for dino_embedding",
            licence="Apache-2.0",
        ),
        ModelFile(
            name="arcface",
            url="https://huggingface.co/onnx-community/arcface-onnx/resolve/main/arcface.onnx",
            file_name="arcface_face_embedding.onnx",
            summary="ArcFace; for face_embedding",
        ),
        ModelFile(
            name="yunet",
            url=(
                "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
                "face_detection_yunet_2023mar.onnx"
            ),
            file_name="face_detection_yunet_2023mar.onnx",
            summary="YuNet; for face_detection, which finds fewer faces without it",
            licence="MIT",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            size=232_589,
        ),
    )
}
"""The models by name."""


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
            file_name = MODELS[name].file_name
            places = [folder / file_name for folder in (self.folder, self.fallback) if folder is not None]
        return next((path for path in places if path.is_file()), None)

    def require(self, name: str) -> Path:
        """The file of a model, compared with its SHA-256 when a process first asks for it.

        Raises:
            TaskFailedError: It is missing or damaged; the message says what to put where, and how.
            KeyError: There is no such model.
        """
        path = self.find(name)
        if path is None:
            raise TaskFailedError(self._missing(name))
        if name in self.overrides or path != self.target(name):
            return path
        try:
            expected, digest = self.expected_digest(name), digest_of(path)
        except OSError as exc:
            raise TaskFailedError(f"{path}: cannot be read: {exc.strerror}") from exc
        if expected not in {None, digest}:
            raise TaskFailedError(
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
        from cl_client.local.models.download import download

        found = await asyncio.to_thread(self._find_undamaged, name)
        return found if found is not None else await download(self, MODELS[name], on_progress)

    def target(self, name: str) -> Path:
        """Where a model belongs, whether it is there or not."""
        return self.folder / MODELS[name].file_name

    def expected_digest(self, name: str) -> str | None:
        """The SHA-256 that a model's file must have.

        It is the published one or, where there is none, that of the first download, recorded beside the file.
        None before that.
        """
        published = MODELS[name].sha256
        if published is not None:
            return published
        record = self.record_of(name)
        return record.read_text("utf-8", "replace").partition(" ")[0] if record.is_file() else None

    def record_of(self, name: str) -> Path:
        """Where the SHA-256 of a model's first download is recorded, in the format of ``sha256sum``."""
        return self.folder / f"{MODELS[name].file_name}.sha256"

    def _find_undamaged(self, name: str) -> Path | None:
        try:
            return self.require(name)
        except TaskFailedError:
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


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, computed again only when the file has changed."""
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


@lru_cache
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
