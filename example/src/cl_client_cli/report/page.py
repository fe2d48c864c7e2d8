"""A batch's results as one page: it needs no network, no server, and no file beside it."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar, cast
from zipfile import BadZipFile

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ValidationError
from rich.filesize import decimal

from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.face_detection import BoundingBox, FaceDetectionOutput
from cl_client_cli.report.thumbnails import thumbnail_uri
from cl_client_cli.similar.ranking import most_similar_pairs, unit_rows

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client import JSONObject

_PAIRS: Final = 12
_LONG_EXPOSURE: Final = 0.4
_EMBEDDINGS: Final = {"clip_embedding": "CLIP", "dino_embedding": "DINO"}


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


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A file with all that is known of it.

    Attributes:
        source: The file.
        results: What came of each task.
    """

    source: Path
    results: dict[str, ReportResult]


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a card."""

    name: str
    value: str
    failed: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A file on the page; ``picture`` is a data URI."""

    name: str
    picture: str | None
    faces: tuple[BoundingBox, ...]
    facts: tuple[Fact, ...]

    @property
    def search(self) -> str:
        """What a search looks at."""
        return " ".join((self.name, *(fact.value for fact in self.facts))).lower()


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two files that look alike."""

    similarity: float
    by: str
    first: str
    second: str
    first_picture: str | None
    second_picture: str | None

    @property
    def search(self) -> str:
        """What a search looks at."""
        return f"{self.first} {self.second}".lower()


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed on a file."""

    name: str
    task: str
    reason: str

    @property
    def search(self) -> str:
        """What a search looks at."""
        return f"{self.name} {self.task} {self.reason}".lower()


_ModelT = TypeVar("_ModelT", bound=BaseModel)
_Facts: TypeAlias = Callable[["ReportResult"], Iterator[Fact]]


def write_report(
    path: Path, entries: Callable[[], Iterable[ReportEntry]], *, title: str, made_at: datetime
) -> None:
    """Write the page; it is there as a whole, or not at all.

    Args:
        path: The page.
        entries: The files, each time from the first one: memory holds one of them at a time.
        title: The page's title.
        made_at: When the page was made.

    Raises:
        OSError: It cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("cl_client_cli.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    parts = environment.get_template("page.html.j2").generate(
        title=title,
        made_at=f"{made_at:%d %B %Y, %H:%M}",
        nonce=secrets.token_urlsafe(16),
        cards=map(_card, entries()),
        pairs=[pair for task in _EMBEDDINGS for pair in _similar_pairs(entries(), task)],
        failures=[failure for entry in entries() for failure in _failures(entry)],
    )
    partial = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(parts)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _card(entry: ReportEntry) -> Card:
    facts = [*_file_facts(entry.source)]
    for task, result in entry.results.items():
        if result.error is not None:
            facts.append(Fact(task, result.error, failed=True))
        else:
            facts.extend(_FACTS[task](result) if task in _FACTS else _named(task, result))
    found = entry.results.get("face_detection")
    faces = _read(FaceDetectionOutput, found) if found else None
    boxes = tuple(face.bbox for face in faces.faces) if faces else ()
    return Card(entry.source.name, _picture(entry.source, _thumbnail(entry)), boxes, tuple(facts))


def _file_facts(source: Path) -> Iterator[Fact]:
    try:
        yield Fact("size", decimal(source.stat().st_size))
    except OSError:
        yield Fact("size", "the file is no longer there")


def _named(task: str, result: ReportResult) -> Iterator[Fact]:
    if task not in _EMBEDDINGS and result.summary is not None:
        yield Fact(task.replace("_", " "), result.summary)


def _exif_facts(result: ReportResult) -> Iterator[Fact]:
    metadata = _read(ExifOutput, result)
    if metadata is None:
        return
    camera = " ".join(filter(None, (metadata.make, metadata.model)))
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
    width, height = metadata.image_width, metadata.image_height
    for name, value in (
        ("camera", camera),
        ("taken", metadata.date_time_original or ""),
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


def _thumbnail(entry: ReportEntry) -> Path | None:
    result = entry.results.get("media_thumbnail")
    return None if result is None else result.file


def _picture(source: Path, thumbnail: Path | None) -> str | None:
    """A small picture of a file, else of its thumbnail: that of a video, or of what cannot be read here."""
    candidates = (source, thumbnail)
    return next((uri for file in candidates if file is not None and (uri := thumbnail_uri(file))), None)


def _failures(entry: ReportEntry) -> Iterator[Failure]:
    for task, result in entry.results.items():
        if result.error is not None:
            yield Failure(entry.source.name, task, result.error)


class _Embedded(NamedTuple):
    """As little of an entry as the pairs need: there may be very many."""

    source: Path
    thumbnail: Path | None
    vector: NDArray[np.float32]


def _similar_pairs(entries: Iterable[ReportEntry], task: str) -> list[SimilarPair]:
    """The best pairs of embeddings; those of another size, by another model, are compared with their like."""
    by_size: defaultdict[int, list[_Embedded]] = defaultdict(list)
    for entry in entries:
        result = entry.results.get(task)
        vector = None if result is None else _vector(result)
        if vector is not None:
            by_size[vector.size].append(_Embedded(entry.source, _thumbnail(entry), vector))
    best = [
        (pair, found[pair.first], found[pair.second])
        for found in by_size.values()
        for pair in most_similar_pairs(unit_rows([one.vector for one in found]), _PAIRS)
    ]
    best.sort(key=lambda match: -match[0].similarity)
    return [
        SimilarPair(
            pair.similarity,
            _EMBEDDINGS[task],
            str(first.source),
            str(second.source),
            _picture(first.source, first.thumbnail),
            _picture(second.source, second.thumbnail),
        )
        for pair, first, second in best[:_PAIRS]
    ]


def _vector(result: ReportResult) -> NDArray[np.float32] | None:
    """The embedding in a result's file; None for a file that has gone, or has something else in it."""
    try:
        content = None if result.file is None else cast("object", np.load(result.file))
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    if not isinstance(content, np.ndarray):
        return None
    array = cast("NDArray[np.float32]", content)
    return array if array.ndim == 1 and array.dtype.kind == "f" else None
