"""The ONNX models of the local server's tasks: names, files and download URLs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

INCLUDED: Final = Path(__file__).parent / "included"
"""The folder of the models that come with this package: YuNet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One public model.

    Attributes:
        name: The name in this table and on the command line.
        url: The public download URL.
        file_name: The name of the file on disk; real servers use the same names.
        summary: One line that describes the model and its task.
        licence: SPDX identifier; None if it is unclear, see the model's page.
        sha256: In hexadecimal; None if none is published, see `ModelStore.expected_digest`.
        size: In bytes; None if unknown.
    """

    name: str
    url: str
    file_name: str
    summary: str
    licence: str | None = None
    sha256: str | None = None
    size: int | None = None

    def path_in(self, folder: Path) -> Path:
        """Return the path of the model in a folder.

        Args:
            folder: A folder of models.

        Returns:
            The path of the file, which may not exist.
        """
        return folder / self.file_name

    def record_in(self, folder: Path) -> Path:
        """Return the path of the file that records the SHA-256 of the first download.

        Args:
            folder: A folder of models.

        Returns:
            The path of a file in the format of ``sha256sum``, which may not exist.
        """
        return folder / f"{self.file_name}.sha256"

    def expected_digest_in(self, folder: Path) -> str | None:
        """Return the published SHA-256 or, if there is none, that of the first download.

        Args:
            folder: A folder of models.

        Returns:
            The digest in hexadecimal; None before the first download.
        """
        if self.sha256 is not None:
            return self.sha256
        record = self.record_in(folder)
        return record.read_text("utf-8", "replace").partition(" ")[0] if record.is_file() else None


MODELS: Final[dict[str, ModelFile]] = {
    model.name: model
    for model in (
        ModelFile(
            name="mobileclip",
            url="https://huggingface.co/Xenova/mobileclip_blt/resolve/main/onnx/vision_model.onnx",
            file_name="mobileclip_blt_vision_model.onnx",
            summary="MobileCLIP-B (LT), the part that reads images; for clip_embedding",
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
            summary="YuNet, which face_detection has already; with it face_embedding aligns faces",
            licence="MIT",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            size=232_589,
        ),
    )
}
"""The models by name."""
