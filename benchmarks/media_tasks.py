"""Time and peak memory of the media tasks, each in a fresh process; ``--against`` compares two checkouts.

    uv run python benchmarks/media_tasks.py [--against CHECKOUT] [--runs N] [--only TEXT]

Inputs are drawn: a JPEG of 24 megapixels, and 5 s of video in 1920 x 1080. Runs of both checkouts alternate.
Times are those of the task without its imports; memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from cl_client.local.tasks import TASKS
from cl_client.local.tasks.contract import TaskContext, TaskFunction
from cl_client.models import JSONObject, TaskParams

_OWN_CHECKOUT: Final = Path(__file__).parents[1]
_MIB: Final = 1024


class _Case(NamedTuple):
    name: str
    task: str
    file: str
    params: JSONObject


_CASES: Final = (
    _Case("thumbnail of a photo", "media_thumbnail", "photo.jpg", {"width": 256}),
    _Case("thumbnail of a video", "media_thumbnail", "video.mp4", {"width": 256}),
    _Case("photo to PNG", "image_conversion", "photo.jpg", {"format": "png"}),
    _Case("photo to WebP", "image_conversion", "photo.jpg", {"format": "webp"}),
    _Case("photo to TIFF", "image_conversion", "photo.jpg", {"format": "tiff"}),
    _Case("photo to GIF", "image_conversion", "photo.jpg", {"format": "gif"}),
    _Case("metadata of a photo", "exif", "photo.jpg", {}),
    _Case(
        "HLS in two qualities, with the original",
        "hls_streaming",
        "video.mp4",
        {
            "variants": [{"resolution": 720, "bitrate": 3500}, {"resolution": 480, "bitrate": 1500}],
            "include_original": True,
        },
    ),
)


class _Cost(NamedTuple):
    seconds: float
    peak_mib: float


_COST = TypeAdapter(_Cost)


class _Arguments(argparse.Namespace):
    against: Path | None
    runs: int
    only: str
    run_one: list[str] | None
    draw: Path | None


def _draw(folder: Path) -> None:
    columns, rows = np.meshgrid(np.arange(6000), np.arange(4000))
    noise = np.random.default_rng(0).integers(0, 24, (4000, 6000, 3))
    photo = np.stack([columns // 24, rows // 16, (columns + rows) // 40], axis=-1) % 230 + noise
    Image.fromarray(photo.astype(np.uint8)).save(folder / "photo.jpg", quality=90)
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for index in range(150):
            frame = VideoFrame.from_ndarray(photo[8 * index : 8 * index + 1080, :1920].astype(np.uint8))
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        container.mux(stream.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open


def _run_one(task: str, file: Path, params: JSONObject) -> _Cost:
    """Run a task in this process."""
    spec = TASKS[task]
    function = cast("TaskFunction[TaskParams]", pkgutil.resolve_name(spec.function))
    model = cast("type[TaskParams]", pkgutil.resolve_name(spec.params))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / spec.output_path_for(file.name, params)
        output.parent.mkdir(exist_ok=True)
        context = TaskContext(model.model_validate(params), file, output, Path(folder), lambda _: None)
        begun = time.perf_counter()
        function(context)
        seconds = time.perf_counter() - begun
    return _Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB)


def _cost(case: _Case, folder: Path, checkout: Path) -> _Cost:
    """Run a task with the code of a checkout, in a process of its own."""
    command = [sys.executable, __file__, "--run-one", case.task, str(folder / case.file)]
    done = subprocess.run(  # noqa: S603 - this script
        [*command, json.dumps(case.params)],
        env={**os.environ, "PYTHONPATH": str(checkout.absolute() / "src")},
        stdout=subprocess.PIPE,
        check=True,
    )
    return _COST.validate_json(done.stdout)


def _medians(costs: list[_Cost]) -> _Cost:
    seconds, peaks = zip(*costs, strict=True)
    return _Cost(statistics.median(seconds), statistics.median(peaks))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="another checkout, whose costs are measured as well")
    parser.add_argument("--runs", type=int, default=5, help="runs of each task and checkout (default: 5)")
    parser.add_argument("--only", default="", help="only the tasks with this text in their name")
    parser.add_argument("--run-one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(namespace=_Arguments())
    if arguments.run_one is not None:
        task, file, params = arguments.run_one
        print(json.dumps(_run_one(task, Path(file), TypeAdapter(JSONObject).validate_json(params))))
        return
    if arguments.draw is not None:
        _draw(arguments.draw)
        return
    checkouts = [_OWN_CHECKOUT, *([arguments.against] if arguments.against is not None else [])]
    table = Table("task", *("seconds", "peak MiB") * len(checkouts), "ratio of seconds", "of MiB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In another process: Linux counts the peak of the parent process as the child's.
        subprocess.run([sys.executable, __file__, "--draw", name], check=True)  # noqa: S603 - this script
        for case in _CASES:
            if arguments.only not in case.name:
                continue
            runs = [[_cost(case, folder, checkout) for checkout in checkouts] for _ in range(arguments.runs)]
            costs = [_medians(list(column)) for column in zip(*runs, strict=True)]
            own, last = costs[0], costs[-1]
            figures = (f"{figure:.2f}" for cost in costs for figure in cost)
            table.add_row(
                case.name,
                *figures,
                f"{own.seconds / last.seconds:.2f}",
                f"{own.peak_mib / last.peak_mib:.2f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
