"""Kills `cl-client batch` with SIGKILL repeatedly, and counts the server's jobs: one per picture is right.

    uv run python benchmarks/batch_kills.py --pictures 2000 --kills 3

The exit code is 1 if the number of jobs differs from the number of pictures, or a result is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from cl_client.local import LocalServer


def _draw(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        colour = (number % 256, number // 256 % 256, 99)
        Image.new("RGB", (64, 48), colour).save(folder / f"{number:06}.png")


async def _job_count(server: LocalServer) -> int:
    async with server.client() as client:
        return (await client.admin.storage()).job_count


def _killed_after(command: list[str], results: int, environment: dict[str, str]) -> None:
    with subprocess.Popen(  # noqa: S603 - the command line under test
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        if process.stdout is None:
            raise RuntimeError("the command has no output to follow")
        for _ in range(results):
            process.stdout.readline()
        process.kill()


class _Arguments(argparse.Namespace):
    pictures: int = 2000
    kills: int = 3


def main() -> int:
    """Run, kill and resume a batch, and count the jobs.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--kills", type=int)
    arguments = parser.parse_args(namespace=_Arguments())
    pictures, kills = arguments.pictures, arguments.kills
    with tempfile.TemporaryDirectory() as temp, LocalServer(workers=2, tasks=["media_thumbnail"]) as server:
        folder, results = Path(temp, "in"), Path(temp, "out")
        _draw(folder, pictures)
        environment = os.environ | {
            "COMPUTE_SERVER_URL": server.base_url,
            "MQTT_BROKER_HOST": server.mqtt_url,
            "CL_CLIENT_DATA_DIR": str(Path(temp, "data")),
        }
        batch = [sys.executable, "-m", "cl_client_cli", "batch"]
        first = [*batch, "submit", str(folder), "-t", "media-thumbnail", "-d", str(results), "--json"]
        again = [*batch, "resume", str(results), "--json"]
        commands = [first, *[again] * kills]
        for command in commands[:-1]:
            _killed_after(command, pictures // (kills + 1), environment)
            print(f"killed once more, {sum(1 for _ in results.glob('*.jpg'))} results exist")
        ended = subprocess.run(commands[-1], env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - ours
        jobs, made = asyncio.run(_job_count(server)), sum(1 for _ in results.glob("*.jpg"))
    print(f"{pictures} pictures, {kills} kills: {jobs} jobs on the server, {made} results")
    return 0 if (ended.returncode, jobs, made) == (0, pictures, pictures) else 1


if __name__ == "__main__":
    sys.exit(main())
