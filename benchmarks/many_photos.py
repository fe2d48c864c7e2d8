"""A batch of 20,000 small photos: its memory, its rate, and how soon Ctrl-C ends it, at any moment.

    uv run python benchmarks/run.py many_photos

Memory is the proportional set size of all processes together, so that shared pages count once. It is compared
at 1,000 photos and at the end, as is the rate. Interrupts are sent at moments spread over the start of a
command, while it looks for files, while jobs are queued and results are saved, and while it closes.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import psutil
from figures import Figure
from photos import PhotoKind, draw_photos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client.models import JSONObject

_KIND: Final = PhotoKind(64, 48, 8)
_TASKS: Final = ("hash", "exif", "media_thumbnail")
_SETTLED: Final = 1000
"""Photos; from then on, memory has to stay the same."""
_WINDOW: Final = 500
"""Photos that a rate or a memory is measured over."""
_SAMPLE_SECONDS: Final = 1.0
_MOMENTS: Final = (0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 2.5, 3.0)
"""Seconds after the start of a command."""
_RESULTS: Final = (1, 50, 200)
"""Results after which a running batch is interrupted."""


class _Sample(NamedTuple):
    seconds: float
    jobs: int
    memory: int
    cpu_seconds: float


@dataclass(slots=True)
class _Run:
    """A command that is running, with the results that it has printed so far."""

    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.perf_counter)
    jobs: int = 0
    has_ended: bool = False
    news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.begun

    def count(self) -> None:
        """Count the results, in a thread of its own, until the command has ended."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe
        while self.process.stdout.readline():
            with self.news:
                self.jobs += 1
                self.news.notify_all()
        with self.news:
            self.has_ended = True
            self.news.notify_all()

    def await_jobs(self, count: int) -> None:
        with self.news:
            self.news.wait_for(lambda: self.jobs >= count or self.has_ended)


def _start(photos: Path, results: Path, home: Path) -> _Run:
    folders = {f"XDG_{name}_HOME": str(home) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    tasks = [word for task in _TASKS for word in ("--task", task)]
    command = [sys.executable, "-m", "cl_client_cli", "batch", "submit", str(photos), *tasks]
    run = _Run(
        subprocess.Popen(  # noqa: S603 - the command line
            [*command, "--local", "--json", "--output-dir", str(results)],
            env={**os.environ, **folders},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    )
    threading.Thread(target=run.count, daemon=True).start()
    return run


def _proportional_size(pid: int) -> int:
    """The memory of a process in bytes; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0


def _memory_and_cpu(process: psutil.Process) -> tuple[int, float]:
    memory, cpu_seconds = 0, 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            memory += _proportional_size(one.pid)
            cpu_seconds += sum(one.cpu_times()[:2])
    return memory, cpu_seconds


def _samples(photos: Path, results: Path, home: Path) -> list[_Sample]:
    run = _start(photos, results, home)
    process, samples = psutil.Process(run.process.pid), list[_Sample]()
    while run.process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            memory, cpu_seconds = _memory_and_cpu(process)
            samples.append(_Sample(run.seconds, run.jobs, memory, cpu_seconds))
        time.sleep(_SAMPLE_SECONDS)
    if run.process.returncode:
        raise RuntimeError(f"the batch ended with exit code {run.process.returncode}")
    return samples


class _Part(NamedTuple):
    """A part of a run."""

    memory: float
    photos_per_second: float
    cpu_per_photo: float


def _part(samples: Sequence[_Sample], first: int, last: int) -> _Part:
    """The part of a run between two numbers of photos, without the end, when processes are gone."""
    some = [it for it in samples if first <= it.jobs / len(_TASKS) < last]
    photos = (some[-1].jobs - some[0].jobs) / len(_TASKS)
    return _Part(
        statistics.median(it.memory for it in some),
        photos / (some[-1].seconds - some[0].seconds),
        (some[-1].cpu_seconds - some[0].cpu_seconds) / photos,
    )


def _growth(folder: Path, count: int) -> list[Figure]:
    photos = folder / "photos"
    draw_photos(photos, count, _KIND)
    samples = _samples(photos, folder / "results", folder)
    window = min(_WINDOW, count // 4)
    settled = min(_SETTLED, count // 2)
    early, late = _part(samples, settled - window, settled), _part(samples, count - window, count)
    memory: JSONObject = {"early MB": round(early.memory / 1e6), "late MB": round(late.memory / 1e6)}
    rates: JSONObject = {
        "early photos/s": round(early.photos_per_second, 1),
        "late photos/s": round(late.photos_per_second, 1),
        "seconds": round(samples[-1].seconds),
    }
    cpu: JSONObject = {
        "early ms": round(1000 * early.cpu_per_photo, 1),
        "late ms": round(1000 * late.cpu_per_photo, 1),
    }
    name = f"{count:,} photos, at the end against {settled:,}"
    return [
        Figure(f"{name}: memory of all processes", late.memory / early.memory, "x", 1.1, details=memory),
        Figure(
            f"{name}: photos per second",
            late.photos_per_second / early.photos_per_second,
            "x",
            0.9,
            at_least=True,
            details=rates,
        ),
        Figure(
            f"{name}: CPU time of a photo", late.cpu_per_photo / early.cpu_per_photo, "x", 1.1, details=cpu
        ),
    ]


def _ending(run: _Run, *, again_after: float | None = None) -> float:
    """Interrupt a command, and return how many seconds it takes to end."""
    run.process.send_signal(signal.SIGINT)
    begun = time.perf_counter()
    if again_after is not None:
        time.sleep(again_after)
        run.process.send_signal(signal.SIGINT)
        begun = time.perf_counter()
    run.process.wait()
    return time.perf_counter() - begun


def _interrupts(folder: Path, count: int) -> Figure:
    """Interrupt commands at many moments; each continues with the batch of the one before."""
    photos, results = folder / "interrupted", folder / "interrupted results"
    draw_photos(photos, count, _KIND)
    took: dict[str, float] = {}
    for moment in _MOMENTS:
        run = _start(photos, results, folder)
        time.sleep(moment)
        took[f"after {moment:g} s"] = _ending(run)
    for number in _RESULTS:
        run = _start(photos, results, folder)
        run.await_jobs(number)
        took[f"after {number} results"] = _ending(run)
    run = _start(photos, results, folder)
    run.await_jobs(1)
    took["again while it closes"] = _ending(run, again_after=0.1)
    shutil.rmtree(results, ignore_errors=True)
    details = cast("JSONObject", {name: round(seconds, 2) for name, seconds in took.items()})
    return Figure("Ctrl-C to the end of a batch, longest", max(took.values()), "s", 2, details=details)


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer photos.

    Returns:
        The figures; none if this system does not tell proportional set sizes.
    """
    if sys.platform != "linux":
        return []
    count = 2000 if quick else 20_000
    with tempfile.TemporaryDirectory() as folder:
        return [*_growth(Path(folder), count), _interrupts(Path(folder), min(count, 5000))]
