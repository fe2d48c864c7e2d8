"""Commands whose server is killed while their jobs wait for it, for good or for a moment."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from command_lines import rest_of, said_until
from support import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from command_lines import RunningCommand, StartCLI
    from server_process import ServerProcess

PLUGIN = ["hash", "compute", "a.txt", "b.txt", "-d", "out"]
WAIT = ["jobs", "wait"]
BATCH = ["batch", "submit", "a.txt", "b.txt", "-t", "hash", "-d", "out"]


@pytest.fixture(autouse=True)
def at_process(
    server_process: ServerProcess, cli_environment: dict[str, str], work_folder: Path
) -> ServerProcess:
    """The server, known to the commands by their environment; and files for them."""
    cli_environment["COMPUTE_SERVER_URL"] = server_process.base_url
    cli_environment["MQTT_BROKER_HOST"] = server_process.mqtt_url
    for name in ("a.txt", "b.txt"):
        (work_folder / name).write_text(name)
    return server_process


@asynccontextmanager
async def _waiting(
    start_cli: StartCLI, server: ServerProcess, command: Sequence[str], give_up_after: int
) -> AsyncGenerator[RunningCommand]:
    """A command whose two jobs are queued behind one that runs until the test ends it."""
    async with client_of(server) as client:
        await client.media_thumbnail.generate(b"x")
        await server.reached()
        made = [await client.hash.compute(text) for text in (b"a", b"b")] if command == WAIT else []
    job_ids = [job.job_id for job in made]
    with start_cli(*command, *job_ids, "--watch", "--give-up-after", str(give_up_after)) as process:
        for _ in range(2):
            await asyncio.to_thread(said_until, process, "hash queued")
        yield process


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (
            PLUGIN,
            "cl-client jobs list shows them. To process the remaining files, run the same command again.",
        ),
        (WAIT, ""),
        (BATCH, "To resume: cl-client batch resume out"),
    ],
)
async def test_a_server_that_stays_away(
    start_cli: StartCLI, at_process: ServerProcess, command: list[str], hint: str
) -> None:
    async with _waiting(start_cli, at_process, command, 1) as process:
        await asyncio.to_thread(at_process.kill)
        rest = (await asyncio.to_thread(rest_of, process))[1]
    assert process.returncode == 3, rest
    assert rest.count("The server does not respond") == 1
    assert "waited 1 s for the server" in rest
    assert hint in rest


@pytest.mark.parametrize("command", [PLUGIN, WAIT, BATCH])
async def test_a_server_that_comes_back_in_time(
    start_cli: StartCLI, at_process: ServerProcess, command: list[str]
) -> None:
    async with _waiting(start_cli, at_process, command, 90) as process:
        await asyncio.to_thread(at_process.kill)
        await asyncio.to_thread(said_until, process, "The server does not respond")
        await asyncio.to_thread(at_process.start)
        await asyncio.to_thread(said_until, process, "The server is back")
        await at_process.reached()
        at_process.release()
        rest = (await asyncio.to_thread(rest_of, process))[1]
    assert process.returncode == 0, rest


async def test_a_server_that_is_gone_when_the_next_files_are_to_be_sent(
    start_cli: StartCLI, at_process: ServerProcess, work_folder: Path
) -> None:
    many = [f"{number}.txt" for number in range(200)]
    for name in many:
        (work_folder / name).write_text(name)
    with start_cli("hash", "compute", *many, "-c", "2", "-d", "out") as process:
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)  # the first result
        await asyncio.to_thread(at_process.kill)
        await asyncio.to_thread(said_until, process, "The server does not respond")
        await asyncio.to_thread(at_process.start)
        await asyncio.to_thread(said_until, process, "The server is back")
        rest = (await asyncio.to_thread(rest_of, process))[1]
    assert process.returncode == 0, rest
    assert "200 of 200 succeeded" in rest
    assert len(list((work_folder / "out").iterdir())) == 200
