"""Kills the broker and the server while many jobs run: no job may be lost or reported twice.

    uv run python benchmarks/kills.py --jobs 10000 --submitters 64 --broker-kills 10 --server-kills 1

Mosquitto and a server with a data folder are separate processes. They are killed with SIGKILL at random
moments during the submits, and restarted on the same ports. The exit code is 1 if a job was lost, was
reported twice or did not complete, or if the server has jobs that were not submitted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from brokers import mosquitto
from null_server import NullServerProcess, ServerOptions, null_client
from null_task import NULL

from cl_client import ServerUnavailableError
from support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cl_client import ComputeClient, JobResponse

_CONNECT_SECONDS = 10
_REPEAT_PAUSE = 0.2
_MOST_SECONDS_AWAY = 2.0
_PATIENCE = 120.0
"""After so many seconds without news, remaining jobs count as lost: longer than the safety net's pauses."""
_AFTERMATH = 10.0
"""How many seconds to wait for duplicate reports after the last one."""


class _Victim(Protocol):
    def start(self) -> object: ...
    def kill(self) -> None: ...


class _Arguments(argparse.Namespace):
    jobs: int = 10_000
    submitters: int = 64
    broker_kills: int = 10
    server_kills: int = 1
    seed: int | None = None


@dataclass
class Run:
    """An application that submits jobs, and what it is told about them.

    Attributes:
        jobs: How many jobs to submit.
        submitted: The IDs of the submitted jobs.
        told: How often each job's end was reported.
        failed: Jobs that did not complete.
        uncertain: Submits without an answer that the server may have accepted; their job IDs are unknown.
        repeated: Submits that the server certainly did not accept, and that were sent again.
        kills: How often each process was killed.
    """

    jobs: int
    submitted: set[str] = field(default_factory=set[str])
    told: Counter[str] = field(default_factory=Counter[str])
    failed: set[str] = field(default_factory=set[str])
    uncertain: int = 0
    repeated: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> int:
        """How many submits have ended."""
        return len(self.submitted) + self.uncertain

    @property
    def lost(self) -> set[str]:
        """Jobs whose end was never reported."""
        return self.submitted - self.told.keys()

    @property
    def told_twice(self) -> set[str]:
        """Jobs whose end was reported more than once."""
        return {job_id for job_id, times in self.told.items() if times > 1}

    async def submit_all(self, client: ComputeClient, submitters: int) -> None:
        """Submit all jobs.

        Args:
            client: The client.
            submitters: How many jobs to submit at the same time.
        """
        left = iter(range(self.jobs))
        async with asyncio.TaskGroup() as group:
            for _ in range(submitters):
                group.create_task(self._keep_submitting(client, left))

    async def _keep_submitting(self, client: ComputeClient, left: Iterator[int]) -> None:
        for _ in left:
            while not await self._submit(client):
                self.repeated += 1
                await asyncio.sleep(_REPEAT_PAUSE)

    async def _submit(self, client: ComputeClient) -> bool:
        """Submit a job once; return False if it must be sent again."""
        try:
            job = await client.submit_job(NULL, b"x", {"priority": "5"}, {"on_complete": self._on_complete})
        except ServerUnavailableError as exc:
            self.uncertain += exc.may_have_been_accepted
            return exc.may_have_been_accepted
        self.submitted.add(job.job_id)
        self._news.set()
        return True

    def _on_complete(self, job: JobResponse) -> None:
        self._news.set()
        self.told[job.job_id] += 1
        if job.status != "completed":
            self.failed.add(job.job_id)

    async def wait_until_told(self) -> None:
        """Wait until every end was reported or no news arrive any more, and a little longer."""
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: len(self.told) >= len(self.submitted))
        await asyncio.sleep(_AFTERMATH)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._news.clear()
            async with asyncio.timeout(_PATIENCE):
                await self._news.wait()

    async def kill(self, name: str, victim: _Victim, times: int, chance: random.Random) -> None:
        """Kill a process at random moments during the submits, and restart it after a while.

        Args:
            name: The name of the process for the report.
            victim: The process.
            times: How often to kill it.
            chance: The source of random moments.
        """
        for number in range(times):
            moment = int((number + chance.random()) / times * self.jobs)
            await self._until(lambda moment=moment: self.done >= moment)
            await asyncio.to_thread(victim.kill)
            self.kills[name] += 1
            await asyncio.sleep(chance.uniform(0, _MOST_SECONDS_AWAY))
            await asyncio.to_thread(victim.start)

    def report(self, jobs_at_server: int, seconds: float) -> bool:
        """Print the results.

        Args:
            jobs_at_server: The number of jobs on the server.
            seconds: The duration of the run.

        Returns:
            Whether no job was lost, reported twice, failed or unknown.
        """
        unknown = jobs_at_server - len(self.submitted)
        told_once = sum(1 for times in self.told.values() if times == 1)
        print(f"jobs submitted      {len(self.submitted):7,}   in {seconds:.0f} s")
        print(f"  reported once     {told_once:7,}")
        print(f"  lost              {len(self.lost):7,}")
        print(f"  reported twice    {len(self.told_twice):7,}")
        print(f"  not completed     {len(self.failed):7,}")
        print(f"submits uncertain   {self.uncertain:7,}   of which the server accepted {unknown:,}")
        print(f"submits sent again  {self.repeated:7,}")
        print(f"kills               {', '.join(f'{name} {times}' for name, times in self.kills.items())}")
        strangers = self.told.keys() - self.submitted
        return not (self.lost or self.told_twice or self.failed or strangers) and (
            0 <= unknown <= self.uncertain
        )


async def _run(run: Run, server: NullServerProcess, broker: _Victim, arguments: _Arguments) -> bool:
    chance = random.Random(arguments.seed)  # noqa: S311 - nothing secret
    begun = time.monotonic()
    async with null_client(await asyncio.to_thread(server.start)) as client:
        if not await client.mqtt_monitor.wait_connected(_CONNECT_SECONDS):
            raise RuntimeError("the broker does not respond")
        async with asyncio.TaskGroup() as group:
            group.create_task(run.kill("broker", broker, arguments.broker_kills, chance))
            group.create_task(run.kill("server", server, arguments.server_kills, chance))
            group.create_task(run.submit_all(client, arguments.submitters))
        await run.wait_until_told()
        seconds = time.monotonic() - begun - _AFTERMATH
        return run.report((await client.admin.storage()).job_count, seconds)


def _arguments() -> _Arguments:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("--jobs", "--submitters", "--broker-kills", "--server-kills"):
        parser.add_argument(name, type=int)
    parser.add_argument(
        "--seed", type=int, help="seed of the random moments, which also depend on the machine"
    )
    return parser.parse_args(namespace=_Arguments())


def main() -> int:
    """Run the trial.

    Returns:
        The exit code.
    """
    arguments = _arguments()
    # Each call would log warnings about its retries; only the results matter here.
    logging.getLogger("cl_client").setLevel(logging.ERROR)
    with mosquitto() as broker, tempfile.TemporaryDirectory(prefix="kills") as folder:
        options = ServerOptions(port=free_port(), mqtt_url=broker.url, data_dir=Path(folder))
        server = NullServerProcess(options)
        try:
            return 0 if asyncio.run(_run(Run(arguments.jobs), server, broker, arguments)) else 1
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
