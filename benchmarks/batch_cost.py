"""Hash, EXIF and thumbnail of photos: `cl-client batch submit --local` beside the loop of `plain_loop.py`.

    uv run python benchmarks/run.py batch_cost

CPU is user and system time of all processes, from the start of the command to its exit. Both are run in
turns, and their results are compared: hash and metadata have to be equal, and the thumbnails' sizes.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from figures import Figure, medians
from photos import LARGE, SMALL, TINY, draw_photos
from PIL import Image

from cl_client_cli.batch.manifest import BatchManifest

if TYPE_CHECKING:
    from photos import PhotoKind

    from cl_client.models import JSONObject

_LOOP: Final = Path(__file__).with_name("plain_loop.py")
_TASKS: Final = ("hash", "exif", "media_thumbnail")
_NOT_COMPARED: Final = frozenset(
    {"SourceFile", "File:Directory", "File:FileAccessDate", "ExifTool:ExifToolVersion", "EXIF:Software"}
)
"""Where and when ExifTool reads a file; and a version, "1.10", which ExifTool prints as a number: 1.1."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """A set of photos, and the targets of its ratios."""

    name: str
    count: int
    kinds: tuple[PhotoKind, ...]
    cpu: float | None
    wall: float | None


_ROWS: Final = (
    _Rows("small photos of 400 kB", 300, (SMALL,), 3, 3),
    _Rows("photos of 640 x 480", 300, (TINY,), None, None),
    _Rows("photos of 12 and 24 megapixels", 60, LARGE, 1.3, 1.4),
)


class _Cost(NamedTuple):
    cpu_seconds: float
    seconds: float


class _Values(NamedTuple):
    hash: str
    exif: dict[str, object]
    thumbnail: tuple[int, int]


def _run(command: list[str], home: Path) -> _Cost:
    """Run a command, with its user's files in a folder."""
    folders = {f"XDG_{name}_HOME": str(home) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env={**os.environ, **folders}, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - no shell
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return _Cost(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, seconds)


def _run_batch(photos: Path, results: Path, home: Path) -> _Cost:
    tasks = [word for task in _TASKS for word in ("--task", task)]
    command = [sys.executable, "-m", "cl_client_cli", "batch", "submit", str(photos), *tasks]
    return _run([*command, "--local", "--output-dir", str(results)], home)


def _run_loop(photos: Path, results: Path, home: Path) -> _Cost:
    return _run([sys.executable, str(_LOOP), str(photos), str(results)], home)


def _values_of_batch(results: Path) -> dict[str, _Values]:
    found: dict[str, dict[str, object]] = {}
    with BatchManifest.open_to_read(results) as manifest:
        for item in manifest.items():
            data = item.data or {}
            value: object = data
            if item.task == "hash":
                value = data.get("hash_value")
            elif item.task == "media_thumbnail":
                with Image.open(item.target) as picture:
                    value = picture.size
            found.setdefault(str(item.source), {})[item.task] = value
    return {
        source: _Values(
            str(values["hash"]),
            _settled(cast("dict[str, dict[str, object]]", values)["exif"]["raw_metadata"]),
            cast("tuple[int, int]", values["media_thumbnail"]),
        )
        for source, values in found.items()
    }


def _values_of_loop(results: Path) -> dict[str, _Values]:
    lines = [
        cast("dict[str, object]", json.loads(line))
        for record in results.glob("*.jsonl")
        for line in record.read_text().splitlines()
    ]
    return {
        str(line["input"]): _Values(
            str(line["hash"]),
            _settled(line["exif"]),
            cast("tuple[int, int]", tuple(cast("list[int]", line["thumbnail"]))),
        )
        for line in lines
    }


def _settled(raw: object) -> dict[str, object]:
    """The metadata that both have to read."""
    tags = cast("dict[str, object]", raw)
    return {name: value for name, value in tags.items() if name not in _NOT_COMPARED}


def _compare(batch: Path, loop: Path, count: int) -> None:
    ours, theirs = _values_of_batch(batch), _values_of_loop(loop)
    if len(ours) != count or len(theirs) != count:
        raise RuntimeError(f"results of {len(ours)} and {len(theirs)} photos, not {count}")
    for photo, value in theirs.items():
        if ours[photo] != value:
            raise RuntimeError(f"{photo}: the batch has {ours[photo]}, the loop has {value}")


def _ratios(rows: _Rows, folder: Path, turns: int) -> list[Figure]:
    photos, home = folder / "photos", folder / "home"
    draw_photos(photos, rows.count, *rows.kinds)
    home.mkdir()
    samples: list[list[float]] = []
    for turn in range(turns):
        batch, loop = folder / f"batch{turn}", folder / f"loop{turn}"
        theirs = _run_loop(photos, loop, home)
        ours = _run_batch(photos, batch, home)
        _compare(batch, loop, rows.count)
        samples.append([*ours, *theirs])
    cpu, wall, loop_cpu, loop_wall = medians(samples)
    cpu_details: JSONObject = {"batch CPU s": round(cpu, 1), "loop CPU s": round(loop_cpu, 1)}
    wall_details: JSONObject = {"batch s": round(wall, 1), "loop s": round(loop_wall, 1)}
    name = f"batch of {rows.count} {rows.name} against a plain loop"
    cpu_ratio, wall_ratio = medians([(a / c, b / d) for a, b, c, d in samples])
    return [
        Figure(f"{name}, CPU", cpu_ratio, "x", rows.cpu, details=cpu_details),
        Figure(f"{name}, wall", wall_ratio, "x", rows.wall, details=wall_details),
    ]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures; none if ExifTool is not installed.
    """
    if shutil.which("exiftool") is None:
        return []
    figures: list[Figure] = []
    for rows in _ROWS:
        with tempfile.TemporaryDirectory() as folder:
            figures += _ratios(rows, Path(folder), 1 if quick else 3)
    return figures
