"""Uploads and downloads a file of 4 GiB, against httpx alone: time, memory, and delays of the event loop.

Both ways alternate on the same server, which is another process. The raw transfers read and write blocks of
1 MiB in threads. A download is a file next to its destination that is synced and renamed, in both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import secrets
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import psutil
from figures import Figure, medians
from null_server import null_client, null_server
from null_task import NULL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from io import FileIO

    from cl_client import ComputeClient

_MIB = 1024**2
_TICK = 0.01


@dataclass
class Watch:
    """The effect of a transfer on this process.

    Attributes:
        growth: The maximum growth of its memory, in bytes.
        stall: The maximum delay of a tick of the loop, in seconds.
        seconds: The duration in seconds.
        cpu: The CPU time of this process in seconds, in all threads.
    """

    growth: int = 0
    stall: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0

    async def _look(self, process: psutil.Process, before: int) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(_TICK)
            self.stall = max(self.stall, time.perf_counter() - begun - _TICK)
            self.growth = max(self.growth, _resident(process) - before)

    @classmethod
    @contextlib.asynccontextmanager
    async def over(cls) -> AsyncGenerator[Watch]:
        """Watch what runs in the context.

        Yields:
            The values measured; they are complete after the context.
        """
        # What earlier transfers have written would be flushed during this one.
        await asyncio.to_thread(os.sync)
        watch, process = cls(), psutil.Process()
        looking = asyncio.create_task(watch._look(process, _resident(process)))
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            yield watch
        finally:
            watch.seconds, watch.cpu = time.perf_counter() - begun, time.process_time() - cpu
            looking.cancel()


def _resident(process: psutil.Process) -> int:
    return cast("int", process.memory_info().rss)


def _write(path: Path, size: int) -> str:
    """Write a file whose blocks all differ, and return its SHA-256 digest."""
    block = random.Random(0).randbytes(_MIB)  # noqa: S311 - only to be incompressible
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(size // _MIB):
            numbered = number.to_bytes(8) + block[8:]
            digest.update(numbered)
            file.write(numbered)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Transfers:
    """A file there and back, in both ways."""

    def __init__(self, client: ComputeClient, raw: httpx.AsyncClient, sent: Path) -> None:
        self._client = client
        self._raw = raw
        self._sent = sent
        self.received = sent.with_name("back.bin")

    async def up(self) -> str:
        return (await self._client.submit_job(NULL, self._sent, {"priority": "5"})).job_id

    async def raw_up(self) -> str:
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="priority"\r\n\r\n5\r\n--{boundary}\r\n'
            f'Content-Disposition: form-data; name="file"; filename="{self._sent.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        length = len(head) + self._sent.stat().st_size + len(tail)

        async def body(file: FileIO) -> AsyncGenerator[bytes]:
            yield head
            while block := await asyncio.to_thread(file.read, _MIB):
                yield block
            yield tail

        with self._sent.open("rb", buffering=0) as file:
            response = await self._raw.post(
                f"/jobs/{NULL}",
                content=body(file),
                headers={
                    "Content-Type": f"multipart/form-data; boundary={boundary}",
                    "Content-Length": str(length),
                },
            )
        response.raise_for_status()
        return cast("dict[str, str]", response.json())["job_id"]

    async def down(self, job_id: str) -> None:
        await self._client.download_job_file(job_id, f"input/{self._sent.name}", self.received)

    async def raw_down(self, job_id: str) -> None:
        part = self.received.with_suffix(".part")
        async with self._raw.stream("GET", f"/jobs/{job_id}/files/input/{self._sent.name}") as response:
            response.raise_for_status()
            with part.open("xb", buffering=0) as file:
                async for block in response.aiter_bytes(_MIB):
                    await asyncio.to_thread(file.write, block)
                await asyncio.to_thread(os.fsync, file.fileno())
        part.replace(self.received)

    async def end(self, job_id: str) -> None:
        await self._client.wait_for_job(job_id)
        await self._client.delete_job(job_id)


@dataclass
class _Turn:
    """One transfer in each way."""

    ours: Watch
    raw: Watch


async def _up(both: _Transfers) -> _Turn:
    async with Watch.over() as raw:
        job_id = await both.raw_up()
    await both.end(job_id)
    async with Watch.over() as ours:
        job_id = await both.up()
    await both.end(job_id)
    return _Turn(ours, raw)


async def _down(both: _Transfers, job_id: str, digest: str) -> _Turn:
    async with Watch.over() as raw:
        await both.raw_down(job_id)
    both.received.unlink()
    async with Watch.over() as ours:
        await both.down(job_id)
    if await asyncio.to_thread(_digest, both.received) != digest:
        raise RuntimeError("the downloaded file differs from the uploaded one")
    both.received.unlink()
    return _Turn(ours, raw)


async def _there_and_back(
    client: ComputeClient, raw: httpx.AsyncClient, sent: Path, size: int, turns: int
) -> list[Figure]:
    both = _Transfers(client, raw, sent)
    digest = await asyncio.to_thread(_write, sent, size)
    job_id = await both.up()
    ups = [await _up(both) for _ in range(turns)]
    downs = [await _down(both, job_id, digest) for _ in range(turns)]
    await both.end(job_id)
    name = f"{size / 1024**3:g} GiB"
    stall = 1000 * max(turn.ours.stall for turn in (*ups, *downs))
    raw_stall = 1000 * max(turn.raw.stall for turn in (*ups, *downs))
    return [
        *_growths(name, ups, downs),
        Figure(
            f"latest tick of the loop, {name} up and down",
            stall,
            "ms",
            250,
            details={"raw ms": round(raw_stall)},
        ),
        *_against_raw(f"upload of {name}", ups, size, 1.1),
        *_against_raw(f"download of {name}", downs, size, 1.05),
    ]


def _growths(name: str, ups: list[_Turn], downs: list[_Turn]) -> list[Figure]:
    return [
        Figure(
            f"memory growth, {name} {way}",
            max(turn.ours.growth for turn in turns) / _MIB,
            "MiB",
            32,
            details={"raw MiB": round(max(turn.raw.growth for turn in turns) / _MIB, 1)},
        )
        for way, turns in (("up", ups), ("down", downs))
    ]


def _against_raw(name: str, turns: list[_Turn], size: int, target: float) -> list[Figure]:
    ours, raw = (
        medians([(watch.cpu, size / watch.seconds / _MIB) for watch in watches])
        for watches in ([turn.ours for turn in turns], [turn.raw for turn in turns])
    )
    return [
        Figure(
            f"{name} against raw httpx, CPU",
            statistics.median(turn.ours.cpu / turn.raw.cpu for turn in turns),
            "x",
            target,
            details={"s": round(ours[0], 2), "raw s": round(raw[0], 2), "turns": len(turns)},
        ),
        Figure(
            f"{name} against raw httpx, wall",
            statistics.median(turn.ours.seconds / turn.raw.seconds for turn in turns),
            "x",
            target,
            details={"MiB/s": round(ours[1]), "raw MiB/s": round(raw[1])},
        ),
    ]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use a small file.

    Returns:
        The figures.
    """

    async def run() -> list[Figure]:
        size, turns = (256 * _MIB, 3) if quick else (4096 * _MIB, 3)
        with tempfile.TemporaryDirectory(prefix="big_files") as folder, null_server() as addresses:
            async with (
                null_client(addresses) as client,
                httpx.AsyncClient(base_url=addresses.base_url, timeout=60) as raw,
            ):
                return await _there_and_back(client, raw, Path(folder) / "big.bin", size, turns)

    return asyncio.run(run())
