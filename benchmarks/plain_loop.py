"""The loop that a person would write: hash, metadata and thumbnail of photos, without this project.

    python benchmarks/plain_loop.py PHOTOS RESULTS [--processes 2]

Each process takes its share of the photos, keeps one ExifTool open, and writes a line of JSON for each photo.
The hash is the one that servers compute, of the decoded pixels. `benchmarks/batch_cost.py` compares the
command line with it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIDE = 256
_QUALITY = 85
_READY = b"{ready}\n"


class _ExifTool:
    """An ExifTool that reads one photo after the other."""

    def __init__(self) -> None:
        command = ["exiftool", "-stay_open", "True", "-@", "-", "-common_args", "-json", "-n", "-G"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - no shell

    def read(self, photo: Path) -> dict[str, object]:
        answers, orders = self._process.stdout, self._process.stdin
        if answers is None or orders is None:
            raise RuntimeError("ExifTool has no pipes")
        orders.write(f"{photo.absolute()}\n-execute\n".encode())
        orders.flush()
        lines: list[bytes] = []
        while (line := cast("bytes", answers.readline())) != _READY:
            if not line:
                raise RuntimeError("ExifTool has ended")
            lines.append(line)
        return cast("list[dict[str, object]]", json.loads(b"".join(lines)))[0]

    def close(self) -> None:
        self._process.communicate(b"-stay_open\nFalse\n")


def _pixel_hash(photo: Path) -> str:
    with Image.open(photo) as picture:
        return hashlib.sha512(picture.tobytes()).hexdigest()


def _thumbnail(photo: Path, target: Path) -> tuple[int, int]:
    with Image.open(photo) as picture:
        picture.draft("RGB", (_SIDE, _SIDE))
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        upright = ImageOps.exif_transpose(picture)
        upright.save(target, quality=_QUALITY, optimize=True)
        return upright.size


def _process_all(photos: Sequence[Path], results: Path, record: Path) -> None:
    exiftool = _ExifTool()
    with record.open("w") as lines:
        for photo in photos:
            result = {
                "input": str(photo),
                "hash": _pixel_hash(photo),
                "exif": exiftool.read(photo),
                "thumbnail": _thumbnail(photo, results / photo.name),
            }
            lines.write(json.dumps(result) + "\n")
    exiftool.close()


class _Arguments(argparse.Namespace):
    photos: Path
    results: Path
    processes: int = 2


def main() -> None:
    """Process the photos of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, help="the folder of the photos")
    parser.add_argument("results", type=Path, help="the folder for the thumbnails and the lines of JSON")
    parser.add_argument("--processes", type=int, help="how many processes (default: 2)")
    arguments = parser.parse_args(namespace=_Arguments())
    arguments.results.mkdir(parents=True, exist_ok=True)
    photos = sorted(arguments.photos.glob("*.jpg"))
    processes = [
        multiprocessing.Process(
            target=_process_all,
            args=(
                photos[number :: arguments.processes],
                arguments.results,
                arguments.results / f"{number}.jsonl",
            ),
        )
        for number in range(arguments.processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
