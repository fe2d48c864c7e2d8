"""The content of a report: files, and the results of their tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import JSONObject

EMBEDDINGS: Final = {"clip_embedding": "CLIP", "dino_embedding": "DINO"}
"""The tasks whose results show similarity, and their names for people."""


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The result of a task.

    Attributes:
        summary: The result in a few words; None for a failure.
        data: The result for programs.
        file: The file of the result; None if it was not saved.
        error: Why there is no result; None if it did not fail.
    """

    summary: str | None = None
    data: JSONObject = field(default_factory=dict)
    file: Path | None = None
    error: str | None = None


class PictureFiles(NamedTuple):
    """The files from which an image of a file can be made.

    Attributes:
        name: The name of the file on the page.
        source: The file itself.
        thumbnail: Its thumbnail made by a task; None if that was not saved.
    """

    name: str
    source: Path
    thumbnail: Path | None


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A file with the results of its tasks.

    Attributes:
        name: The name of the file on the page.
        source: The file.
        results: The results by task.
    """

    name: str
    source: Path
    results: dict[str, ReportResult]

    @property
    def picture(self) -> PictureFiles:
        """The files from which its image can be made."""
        result = self.results.get("media_thumbnail")
        return PictureFiles(self.name, self.source, None if result is None else result.file)
