"""Uploads and downloads a file of 4 GiB: memory, delays of the event loop, and the checksum at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import psutil
from figures import Figure
from null_server import null_client, null_server
from null_task import NULL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from null_server import Addresses

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
    """

    growth: int = 0
    stall: float = 0.0
    seconds: float = 0.0

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
        watch, process = cls(), psutil.Process()
        looking = asyncio.create_task(watch._look(process, _resident(process)))
        begun = time.perf_counter()
        try:
            yield watch
        finally:
            watch.seconds = time.perf_counter() - begun
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


async def _raw_download(addresses: Addresses, path: str, target: Path) -> float:
    """Download the same bytes with httpx alone, written on the loop and synced at the end."""
    begun = time.perf_counter()
    async with (
        httpx.AsyncClient(base_url=addresses.base_url) as client,
        client.stream("GET", path) as response,
    ):
        with target.open("wb") as file:
            async for chunk in response.aiter_bytes(_MIB):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - begun


async def _there_and_back(
    addresses: Addresses, client: ComputeClient, folder: Path, size: int
) -> list[Figure]:
    sent, received, raw = folder / "big.bin", folder / "back.bin", folder / "raw.bin"
    digest = await asyncio.to_thread(_write, sent, size)
    await client.health()
    async with Watch.over() as up:
        job = await client.submit_job(NULL, sent, {"priority": "5"}, {"wait": True})
    async with Watch.over() as down:
        await client.download_job_file(job.job_id, "input/big.bin", received)
    if await asyncio.to_thread(_digest, received) != digest:
        raise RuntimeError("the downloaded file differs from the uploaded one")
    received.unlink()
    seconds = await _raw_download(addresses, f"/jobs/{job.job_id}/files/input/big.bin", raw)
    await client.delete_job(job.job_id)
    name = f"{size / 1024**3:g} GiB"
    details = {
        "upload": f"{size / up.seconds / _MIB:.0f} MiB/s, late by at most {up.stall * 1000:.0f} ms",
        "download": f"{size / down.seconds / _MIB:.0f} MiB/s, late by at most {down.stall * 1000:.0f} ms",
        "sha256 at both ends": digest[:16],
    }
    return [
        Figure(f"memory growth, {name} up", up.growth / _MIB, "MiB", 32, details=dict(details)),
        Figure(f"memory growth, {name} down", down.growth / _MIB, "MiB", 32),
        Figure(f"latest tick of the loop, {name} up and down", max(up.stall, down.stall) * 1000, "ms", 250),
        Figure(f"download of {name} against raw httpx", down.seconds / seconds, "x"),
    ]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use a small file.

    Returns:
        The figures.
    """

    async def run() -> list[Figure]:
        with tempfile.TemporaryDirectory(prefix="big_files") as folder, null_server() as addresses:
            async with null_client(addresses) as client:
                return await _there_and_back(addresses, client, Path(folder), (256 if quick else 4096) * _MIB)

    return asyncio.run(run())
