"""What a report is made of: files, and what came of each task on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import JSONObject

EMBEDDINGS: Final = {"clip_embedding": "CLIP", "dino_embedding": "DINO"}
"""The tasks by whose results pictures are compared, and what people call them."""


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What came of a task.

    Attributes:
        summary: In a few words; None for a failure.
        data: For programs.
        file: Where the result is; None where it was not kept.
        error: Why there is none.
    """

    summary: str | None = None
    data: JSONObject = field(default_factory=dict)
    file: Path | None = None
    error: str | None = None


class PictureFiles(NamedTuple):
    """Where a picture of a file can be had from.

    Attributes:
        name: What the file is called on the page.
        source: The file itself.
        thumbnail: What a task made of it; None where that was not kept.
    """

    name: str
    source: Path
    thumbnail: Path | None


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A file with all that is known of it.

    Attributes:
        name: What it is called on the page.
        source: The file.
        results: What came of each task.
    """

    name: str
    source: Path
    results: dict[str, ReportResult]

    @property
    def picture(self) -> PictureFiles:
        """Where a picture of it can be had from."""
        result = self.results.get("media_thumbnail")
        return PictureFiles(self.name, self.source, None if result is None else result.file)
