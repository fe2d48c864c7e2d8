"""What came out of the demo's jobs: each in a few words, and all of them as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.hash import HashResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cl_client_cli.demo_jobs import DemoJob

_HASH_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: The job.
        words: The result in a few words, or why there is none.
        failed: Which of the two it is.
    """

    job: DemoJob
    words: str
    failed: bool = False


def describe(job: DemoJob, result: Path) -> str:
    """Say in a few words what a downloaded result file holds.

    Raises:
        OSError: The file is not what the task promises.
        ValueError: The same, for JSON.
    """
    return _DESCRIPTIONS[job.task](job, result)


def _describe_hash(_job: DemoJob, result: Path) -> str:
    content = HashResult.model_validate_json(result.read_bytes())
    return f"{content.algorithm} {content.hash_value[:_HASH_DIGITS]}..."


def _describe_exif(_job: DemoJob, result: Path) -> str:
    metadata = ExifOutput.model_validate_json(result.read_bytes())
    make, model = metadata.make or "", metadata.model or ""
    # Many makers repeat their name in the model's.
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    return ", ".join(filter(None, (camera, metadata.date_time_original))) or "no camera and no date in it"


def _describe_picture(_job: DemoJob, result: Path) -> str:
    with Image.open(result) as picture:
        width, height = picture.size
    return f"{width} x {height} pixels, {decimal(result.stat().st_size)}"


def _describe_conversion(job: DemoJob, result: Path) -> str:
    before, after = job.photo.stat().st_size, result.stat().st_size
    return f"{result.suffix.removeprefix('.')}, {decimal(after)} from {decimal(before)}"


_DESCRIPTIONS: Final[Mapping[str, Callable[[DemoJob, Path], str]]] = {
    "hash": _describe_hash,
    "exif": _describe_exif,
    "media_thumbnail": _describe_picture,
    "image_conversion": _describe_conversion,
}


def results_table(outcomes: Sequence[Outcome]) -> Table:
    """All outcomes, one section for each file."""
    table = Table("File", "Task", "Result")
    table.columns[0].overflow = "fold"
    table.columns[1].no_wrap = True
    previous: Path | None = None
    for outcome in outcomes:
        if previous not in {None, outcome.job.folder}:
            table.add_section()
        name = "" if previous == outcome.job.folder else outcome.job.photo.name
        previous = outcome.job.folder
        table.add_row(
            Text(name), outcome.job.task, Text(outcome.words, style="red" if outcome.failed else "green")
        )
    return table
