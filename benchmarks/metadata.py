"""The cost of ExifTool: a process for each photo, against one that stays open."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Figure, medians

from cl_client.local.samples import draw_photo
from cl_client.local.tasks.metadata.exiftool import read_with_exiftool

_COMMAND = ("-config", "", "-json", "-n", "-G")


def _seconds_apart(exiftool: str, photos: list[Path]) -> float:
    begin = time.perf_counter()
    for photo in photos:
        command = [exiftool, *_COMMAND, str(photo)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - see above
    return time.perf_counter() - begin


def _seconds_open(exiftool: str, photos: list[Path]) -> float:
    begin = time.perf_counter()
    for photo in photos:
        read_with_exiftool(photo, exiftool)
    return time.perf_counter() - begin


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures; none if ExifTool is not installed.
    """
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        return []
    turns, count = (3, 20) if quick else (9, 50)
    with tempfile.TemporaryDirectory() as folder:
        photos = [Path(folder) / f"{number}.jpg" for number in range(count)]
        for photo in photos:
            draw_photo(photo, size=(640, 480))
        read_with_exiftool(photos[0], exiftool)
        samples = [(_seconds_apart(exiftool, photos), _seconds_open(exiftool, photos)) for _ in range(turns)]
    apart, opened = medians(samples)
    return [
        Figure(
            "metadata of a photo: an ExifTool for each, against an open one",
            statistics.median(row[0] / row[1] for row in samples),
            "x",
            20,
            at_least=True,
            details={"each ms": round(1000 * apart / count, 1), "open ms": round(1000 * opened / count, 1)},
        )
    ]
