"""Downloads and uploads 10,000 files of 10 KB, against httpx alone, which does the same as well as possible.

A download ends as a file that is complete or missing: both write a temporary file, sync it, and rename it. An
upload is read from the disk. Both have eight transfers at a time, and one turn in a thread for each file.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
from figures import Figure, medians
from file_server import file_server
from null_task import NULL

from cl_client import ComputeClient, ComputeClientConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_SIZE = 10_000
_AT_A_TIME = 8
_FIELDS = {"priority": "5"}


class _Cost(NamedTuple):
    cpu: float
    wall: float


def _save(target: Path, content: bytes) -> None:
    part = f"{target}.{secrets.token_hex(4)}.part"
    try:
        with open(part, "xb", buffering=0) as file:  # noqa: PTH123 - the cheapest way
            file.write(content)
            os.fsync(file.fileno())
        os.replace(part, target)  # noqa: PTH105
    except BaseException:
        os.unlink(part)  # noqa: PTH108
        raise


def _load(source: Path) -> bytes:
    with open(source, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


async def _cost(transfer: Callable[[int], Awaitable[object]], numbers: Iterable[int]) -> _Cost:
    left = iter(numbers)

    async def keep_busy() -> None:
        for number in left:
            await transfer(number)

    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_A_TIME):
            group.create_task(keep_busy())
    return _Cost(time.process_time() - cpu, time.perf_counter() - wall)


class _Transfers:
    """Each transfer in both ways."""

    def __init__(self, client: ComputeClient, raw: httpx.AsyncClient, folder: Path) -> None:
        self._client = client
        self._raw = raw
        self._source = folder / "source.bin"
        self._source.write_bytes(os.urandom(_SIZE))
        self._folder = folder

    async def down(self, number: int) -> None:
        await self._client.download_job_file("j", f"output/{number}.bin", self._folder / f"{number}.bin")

    async def raw_down(self, number: int) -> None:
        response = await self._raw.get(f"/jobs/j/files/output/{number}.bin")
        response.raise_for_status()
        await asyncio.to_thread(_save, self._folder / f"{number}.bin", response.content)

    async def up(self, _number: int) -> None:
        await self._client.submit_job(NULL, self._source, _FIELDS)

    async def raw_up(self, _number: int) -> None:
        content = await asyncio.to_thread(_load, self._source)
        files = {"file": ("source.bin", content, "application/octet-stream")}
        response = await self._raw.post(f"/jobs/{NULL}", data=_FIELDS, files=files)
        response.raise_for_status()
        response.json()


async def _compared(
    name: str,
    ours: Callable[[int], Awaitable[object]],
    raw: Callable[[int], Awaitable[object]],
    turns: int,
    count: int,
) -> list[Figure]:
    """Alternate both ways; the ratios are medians."""
    per_turn, numbers = count // turns, itertools.count()
    for way in (ours, raw):  # imports, connections and threads
        await _cost(way, range(50))
    pairs: list[tuple[_Cost, _Cost]] = []
    for turn in range(turns):
        ways = (ours, raw) if turn % 2 else (raw, ours)
        costs = {way: await _cost(way, itertools.islice(numbers, per_turn)) for way in ways}
        pairs.append((costs[ours], costs[raw]))

    def figure(what: str, unit: int, target: float) -> Figure:
        values = [(own[unit], theirs[unit]) for own, theirs in pairs]
        ms = [round(1000 * seconds / per_turn, 3) for seconds in medians(values)]
        return Figure(
            f"{count:,} {name} of 10 KB against raw httpx, {what}",
            statistics.median(own / theirs for own, theirs in values),
            "x",
            target,
            details={"ms each": ms[0], "raw ms each": ms[1], "turns": turns},
        )

    return [figure("CPU", 0, 1.3), figure("wall", 1, 1.3)]


async def _measure(base_url: str, folder: Path, turns: int, count: int) -> list[Figure]:
    config = ComputeClientConfig.create(
        base_url=base_url, mqtt_broker="off", plugin_endpoints={NULL: f"/jobs/{NULL}"}
    )
    async with ComputeClient(config=config) as client, httpx.AsyncClient(base_url=base_url) as raw:
        both = _Transfers(client, raw, folder)
        return [
            *await _compared("downloads", both.down, both.raw_down, turns, count),
            *await _compared("uploads", both.up, both.raw_up, turns, count),
        ]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer files.

    Returns:
        The figures.
    """
    with tempfile.TemporaryDirectory(prefix="small_files") as folder, file_server(_SIZE) as base_url:
        turns, count = (4, 1000) if quick else (10, 10_000)
        return asyncio.run(_measure(base_url, Path(folder), turns, count))
