"""The HTML report of a batch of 3,000 photos: the time to write it, and the time to open it in Chromium."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import httpx
import numpy as np
import websockets
from figures import Figure, medians
from PIL import Image

from cl_client.local.samples import camera_exif, draw_photo, write_astronaut
from cl_client.plugins.hash import HashParams
from cl_client_cli.batch.items import Content, ItemKey
from cl_client_cli.batch.manifest import BatchManifest
from cl_client_cli.tasks.job_outcome import JobRequest, Outcome
from cl_client_cli.tasks.table import TaskResult

if TYPE_CHECKING:
    from cl_client.models import JSONObject

_PHOTOS: Final = 5
"""Different ones; the others are links to them."""
_SIZE: Final = (4000, 3000)
_THUMBNAIL_SIDE: Final = 256
_OPENED: Final = """JSON.stringify([
    ...performance.getEntriesByType("navigation").map(entry => entry.domContentLoadedEventEnd),
    ...performance.getEntriesByName("first-contentful-paint").map(entry => entry.startTime),
])"""


class _Cost(NamedTuple):
    cpu_seconds: float
    seconds: float


def _draw(folder: Path) -> None:
    """Photos with the grain of a sensor, as flat ones compress too well, and their thumbnails."""
    write_astronaut(folder / "astronaut.png")
    draw_photo(folder / "mountains.png")
    random = np.random.default_rng(0)
    for number in range(_PHOTOS):
        with Image.open(folder / ("mountains.png" if number % 2 else "astronaut.png")) as picture:
            large = picture.resize(_SIZE, Image.Resampling.BICUBIC)
        grain = random.integers(-12, 13, (_SIZE[1], _SIZE[0], 3))
        pixels = np.clip(np.asarray(large, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
        photo = Image.fromarray(pixels)
        photo.save(folder / f"{number}.jpg", quality=90, exif=camera_exif().tobytes())
        photo.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        photo.save(folder / f"{number}.thumbnail.jpg", quality=85)


def _results(name: str) -> dict[str, JSONObject]:
    digest = hashlib.sha512(name.encode()).hexdigest()
    exif: JSONObject = {
        "make": "Canon",
        "model": "EOS R5",
        "date_time_original": "2025:06:21 20:47:11",
        "exposure_time": 0.004,
        "f_number": 2.8,
        "iso": 200,
        "focal_length": 85.0,
        "gps_latitude": 45.97639,
        "gps_longitude": 7.65861,
        "image_width": _SIZE[0],
        "image_height": _SIZE[1],
    }
    return {
        "hash": {"algorithm": "sha512", "hash_value": digest},
        "exif": exif,
        "media_thumbnail": {"media_type": "image"},
    }


def _make_batch(folder: Path, count: int) -> Path:
    """Write the manifest of a batch that has ended, without running its jobs."""
    _draw(folder)
    batch = folder / "batch"
    batch.mkdir()
    with BatchManifest.open(batch, create=True) as manifest:
        targets: dict[ItemKey, Path] = {}
        for number in range(count):
            photo = folder / f"IMG_{number:05}.jpg"
            os.link(folder / f"{number % _PHOTOS}.jpg", photo)
            thumbnail = batch / f"IMG_{number:05}.thumbnail.jpg"
            os.link(folder / f"{number % _PHOTOS}.thumbnail.jpg", thumbnail)
            for task in _results(photo.name):
                target = thumbnail if task == "media_thumbnail" else batch / f"{photo.stem}.{task}.json"
                targets[ItemKey(photo, task, "{}")] = target
        manifest.add(targets)
        for item in list(manifest.items()):
            data = _results(item.source.name)[item.task]
            request = JobRequest(item.source, item.task, HashParams(), item.target, item.source.name)
            outcome = Outcome(request, result=TaskResult(item.task, data, (item.target,)))
            manifest.ended(item, outcome, Content("0" * 64, 1, 1))
    return batch


def _write(batch: Path) -> _Cost:
    """Run the command, from start to exit."""
    command = [sys.executable, "-m", "cl_client_cli", "batch", "report", str(batch)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - the command line
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return _Cost(cpu_seconds, time.perf_counter() - begun)


async def _open(browser: str, page: Path) -> tuple[float, float]:
    """Open the page in a new browser: milliseconds to the event DOMContentLoaded, and to the first paint."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"),
            *(f"--user-data-dir={profile}", "about:blank"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            return await _times(await _address(process), page.as_uri())
        finally:
            process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Wait until the browser has printed where it can be controlled, and find its tab."""
    assert process.stderr is not None  # noqa: S101 - it was asked for
    while line := await process.stderr.readline():
        if found := re.search(rb"ws://([^/]+)/", line):
            async with httpx.AsyncClient() as client:
                tabs = cast(
                    "list[dict[str, str]]", (await client.get(f"http://{found[1].decode()}/json")).json()
                )
            return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    raise RuntimeError("the browser ended")


async def _times(address: str, page: str) -> tuple[float, float]:
    async with websockets.connect(address) as socket:
        ids = iter(range(1000))

        async def call(method: str, **params: str) -> JSONObject:
            number = next(ids)
            await socket.send(json.dumps({"id": number, "method": method, "params": params}))
            while True:
                answer = cast("JSONObject", json.loads(await socket.recv()))
                if answer.get("id") == number:
                    return cast("JSONObject", answer["result"])

        await call("Page.navigate", url=page)
        while True:
            await asyncio.sleep(0.1)
            result = cast("JSONObject", (await call("Runtime.evaluate", expression=_OPENED))["result"])
            times = cast("list[float]", json.loads(str(result["value"])))
            if len(times) > 1 and all(times):
                return times[0], times[1]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures.
    """
    turns, count = (1, 3000) if quick else (5, 3000)
    with tempfile.TemporaryDirectory() as name:
        batch = _make_batch(Path(name), count)
        page = batch / "report.html"
        costs = [_write(batch) for _ in range(turns)]
        figures = [
            Figure(
                f"report of {count:,} photos of 12 megapixels",
                statistics.median(cost.cpu_seconds for cost in costs),
                "CPU s",
                5,
                details={
                    "seconds": round(statistics.median(cost.seconds for cost in costs), 1),
                    "page": f"{page.stat().st_size / 1e6:.1f} MB",
                },
            )
        ]
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser is not None:
            opened = [asyncio.run(_open(browser, page)) for _ in range(turns + 2)]
            loaded, painted = medians(opened)
            details: JSONObject = {"first paint ms": round(painted)}
            figures.append(Figure("opening that report in Chromium", loaded, "ms", 500, details=details))
    return figures
