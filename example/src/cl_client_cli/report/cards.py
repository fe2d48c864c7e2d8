"""The card of a file on the page: its image and its facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from rich.filesize import decimal

from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.face_detection import BoundingBox, FaceDetectionOutput
from cl_client_cli.report.entries import EMBEDDINGS
from cl_client_cli.report.thumbnails import thumbnail_of
from cl_client_cli.tasks.notes import notes_in

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client_cli.report.entries import ReportEntry, ReportResult
    from cl_client_cli.report.thumbnails import Thumbnail

_LONG_EXPOSURE: Final = 0.4
_UNTOLD: Final = frozenset({*EMBEDDINGS, "media_thumbnail"})
"""Tasks whose results are shown in other ways than as text."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a card."""

    name: str
    value: str
    failed: bool = False
    warning: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a file on the page."""

    name: str
    picture: Thumbnail | None
    faces: tuple[BoundingBox, ...]
    facts: tuple[Fact, ...]


_ModelT = TypeVar("_ModelT", bound=BaseModel)
_Facts: TypeAlias = Callable[["ReportResult"], Iterator[Fact]]


def card_of(entry: ReportEntry, side: int) -> Card:
    """Make the card of a file.

    Args:
        entry: The file.
        side: The longer side of its image in pixels.

    Returns:
        The card.
    """
    facts = [*_file_facts(entry.source)]
    for task, result in entry.results.items():
        if result.error is not None:
            facts.append(Fact(task, result.error, failed=True))
        else:
            facts.extend(_FACTS[task](result) if task in _FACTS else _named(task, result))
    # Several tasks may warn of the same.
    notes = dict.fromkeys(note for result in entry.results.values() for note in notes_in(result.data))
    facts.extend(Fact("warning", note, warning=True) for note in notes)
    found = entry.results.get("face_detection")
    faces = _read(FaceDetectionOutput, found) if found else None
    boxes = tuple(face.bbox for face in faces.faces) if faces else ()
    return Card(entry.name, thumbnail_of(entry.picture, side), boxes, tuple(facts))


def _file_facts(source: Path) -> Iterator[Fact]:
    try:
        yield Fact("size", decimal(source.stat().st_size))
    except OSError:
        yield Fact("size", "the file no longer exists")


def _named(task: str, result: ReportResult) -> Iterator[Fact]:
    if task not in _UNTOLD and result.summary is not None:
        yield Fact(task.replace("_", " "), result.summary)


def _exif_facts(result: ReportResult) -> Iterator[Fact]:
    metadata = _read(ExifOutput, result)
    if metadata is None:
        return
    make, model = metadata.make or "", metadata.model or ""
    # Many makers repeat their name in the model's.
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    exposure = [
        _shutter(metadata.exposure_time),
        f"f/{metadata.f_number:g}" if metadata.f_number else "",
        f"ISO {metadata.iso}" if metadata.iso else "",
        f"{metadata.focal_length:g} mm" if metadata.focal_length else "",
    ]
    place = (
        ""
        if metadata.gps_latitude is None or metadata.gps_longitude is None
        else f"{metadata.gps_latitude:.4f}, {metadata.gps_longitude:.4f}"
    )
    width, height = metadata.display_width, metadata.display_height
    for name, value in (
        ("camera", camera),
        ("taken", str(metadata.taken_at or metadata.date_time_original or "")),
        ("exposure", ", ".join(filter(None, exposure))),
        ("pixels", f"{width} x {height}" if width and height else ""),
        ("place", place),
    ):
        if value:
            yield Fact(name, value)


def _shutter(seconds: float | None) -> str:
    """An exposure time as photographers write it: ``1/250 s``."""
    if not seconds:
        return ""
    return f"{seconds:g} s" if seconds >= _LONG_EXPOSURE else f"1/{1 / seconds:.0f} s"


def _face_facts(result: ReportResult) -> Iterator[Fact]:
    yield Fact("faces", result.summary or "")


def _hash_facts(result: ReportResult) -> Iterator[Fact]:
    yield Fact(str(result.data.get("algorithm", "hash")), str(result.data.get("hash_value", "")), code=True)


_FACTS: Final[dict[str, _Facts]] = {
    "exif": _exif_facts,
    "face_detection": _face_facts,
    "hash": _hash_facts,
}


def _read(model: type[_ModelT], result: ReportResult) -> _ModelT | None:
    try:
        return model.model_validate(result.data)
    except ValidationError:
        return None
