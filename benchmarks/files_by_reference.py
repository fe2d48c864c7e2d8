"""Jobs on photos that the server reads in place, beside the same photos uploaded: CPU and wall time.

    uv run python benchmarks/files_by_reference.py [--small 2000] [--large 200] [--runs 1] [--folder DIR]

Draws photos of about 400 kB and of about 5 MB, and runs tasks on all of them, each time on a new server in a
process of its own, after a few jobs that load its libraries. CPU is user and system time of the client, the
server and its workers. With several runs, the order alternates, and figures are medians. Needs 4 GB in DIR.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np
import psutil
from figures import medians
from PIL import Image
from rich.console import Console
from rich.table import Table

from cl_client import ComputeClient
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from collections.abc import Generator

_TASKS: Final = ("hash", "exif", "media_thumbnail")
_CONCURRENCY: Final = 8
_WARM_UP: Final = 8
_DIFFERENT: Final = 10
"""How many photos are drawn; the others are copies with another comment."""


class _Size(NamedTuple):
    name: str
    width: int
    height: int
    noise: int


_SMALL: Final = _Size("400 kB", 1600, 1200, 20)
_LARGE: Final = _Size("5 MB", 6000, 4000, 18)


class _CPU(NamedTuple):
    client: float
    server: float
    workers: float


class _Cost(NamedTuple):
    cpu: _CPU
    wall: float
    uploaded: int
    server_files: int


class _Arguments(argparse.Namespace):
    small: int = 2000
    large: int = 200
    runs: int = 1
    folder: Path | None = None


def _draw(folder: Path, size: _Size, count: int) -> list[Path]:
    """Draw photos with metadata, which all differ."""
    folder.mkdir()
    columns, rows = np.meshgrid(np.arange(size.width), np.arange(size.height))
    base = np.stack([columns // 24, rows // 16, (columns + rows) // 40], axis=-1) % 230
    exif = Image.Exif()
    exif.update({0x010F: "Maker", 0x0110: "Model", 0x0132: "2024:05:01 12:00:00"})
    drawn: list[bytes] = []
    for seed in range(min(_DIFFERENT, count)):
        noise = np.random.default_rng(seed).integers(0, size.noise, base.shape)
        kept = BytesIO()
        Image.fromarray((base + noise).astype(np.uint8)).save(kept, "JPEG", quality=92, exif=exif)
        drawn.append(kept.getvalue())
    files = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        start, rest = drawn[number % len(drawn)][:2], drawn[number % len(drawn)][2:]
        file.write_bytes(start + b"\xff\xfe\x00\x0a" + f"{number:08}".encode() + rest)
    return files


@contextmanager
def _server(shared: Path, data_dir: Path) -> Generator[tuple[psutil.Process, dict[str, str]]]:
    """A server in a process of its own, and its addresses."""
    command = [sys.executable, "-m", "cl_client_cli", "server", "--port", "0", "--mqtt-port", "0", "--json"]
    command += ["--share", str(shared), "--data-dir", str(data_dir)]
    with subprocess.Popen(  # noqa: S603 - our own server
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        if process.stdout is None:
            raise RuntimeError("the server has no output to follow")
        try:
            said = cast("str", process.stdout.readline())
            yield psutil.Process(process.pid), cast("dict[str, str]", json.loads(said))
        finally:
            process.terminate()


def _cpu_seconds(server: psutil.Process) -> _CPU:
    """The CPU time of this process, of the server, and of all that it has started."""
    workers = sum(sum(process.cpu_times()[:4]) for process in server.children(recursive=True))
    return _CPU(sum(psutil.Process().cpu_times()[:2]), sum(server.cpu_times()[:2]), workers)


async def _cost(files: list[Path], task: str, *, by_reference: bool) -> _Cost:
    """Run a task on files, on a new server."""
    with (
        tempfile.TemporaryDirectory(dir=files[0].parent.parent) as data_dir,
        _server(files[0].parent, Path(data_dir)) as (process, said),
    ):
        async with ComputeClient(said["base_url"], mqtt_broker=said["mqtt_url"]) as client:
            await client.wait_for_workers([task])
            plugin = client.plugin(task)
            for _ in range(_WARM_UP):
                await plugin.submit(files[0], task_params(task, {}), wait=True)
            warm = _kept(data_dir)
            before, begun = _cpu_seconds(process), time.perf_counter()
            sources = [(await client.server_path(file) if by_reference else None) or file for file in files]
            params = task_params(task, {})
            jobs = plugin.map(sources, params, concurrency=_CONCURRENCY)
            failed = [job async for _, job in jobs if isinstance(job, Exception) or job.status != "completed"]
            wall, after = time.perf_counter() - begun, _cpu_seconds(process)
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(files)} jobs failed: {failed[0]}")
        kept = _kept(data_dir)
        cpu = _CPU(*(late - early for late, early in zip(after, before, strict=True)))
        return _Cost(cpu, wall, sum(kept) - sum(warm), len(kept) - len(warm))


def _kept(data_dir: str) -> list[int]:
    """The sizes of the uploads that a server has."""
    return [file.stat().st_size for file in Path(data_dir).glob("jobs/*/input/*")]


async def _measure(table: Table, size: _Size, files: list[Path], runs: int) -> None:
    for task in _TASKS:
        costs: dict[bool, list[_Cost]] = {True: [], False: []}
        for run in range(runs):
            for by_reference in (True, False) if run % 2 == 0 else (False, True):
                costs[by_reference].append(await _cost(files, task, by_reference=by_reference))
        in_place, uploaded = costs[True], costs[False]
        if any(cost.server_files for cost in in_place) or uploaded[0].server_files != len(files):
            raise RuntimeError("some files were not sent as they should be")
        cpu = [median(sum(cost.cpu) for cost in some) for some in (in_place, uploaded)]
        wall = [median(cost.wall for cost in some) for some in (in_place, uploaded)]
        table.add_row(
            f"{task}, {len(files):,} of {size.name}",
            *map(_cpu_text, (in_place, uploaded)),
            f"{cpu[1] / cpu[0]:.2f} x",
            *(f"{seconds:.1f} s" for seconds in wall),
            f"{wall[1] / wall[0]:.2f} x",
            f"{uploaded[0].uploaded / 1e6:,.0f} MB",
        )


def _cpu_text(costs: list[_Cost]) -> str:
    """The sum, and the parts of client, server and workers."""
    parts = medians([cost.cpu for cost in costs])
    return f"{median(sum(cost.cpu) for cost in costs):.1f} s ({' + '.join(f'{part:.1f}' for part in parts)})"


def main() -> None:
    """Draw photos, run the tasks both ways, and print the costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", type=int, help="how many photos of 400 kB (default: 2000)")
    parser.add_argument("--large", type=int, help="how many photos of 5 MB (default: 200)")
    parser.add_argument("--runs", type=int, help="how often each is measured (default: 1)")
    parser.add_argument("--folder", type=Path, help="where to draw them (default: the temporary folder)")
    arguments = parser.parse_args(namespace=_Arguments())
    table = Table(
        "jobs",
        "CPU in place (client + server + workers)",
        "uploaded",
        "",
        "wall in place",
        "uploaded",
        "",
        "not sent",
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for size, count in ((_SMALL, arguments.small), (_LARGE, arguments.large)):
            if count:
                files = _draw(Path(folder) / size.name.replace(" ", ""), size, count)
                asyncio.run(_measure(table, size, files, arguments.runs))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
