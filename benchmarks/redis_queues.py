"""huey and dramatiq on a Redis of their own, with a task that does nothing: the peers of `job_queues`.

They are no dependencies of this project: uv installs them into an environment in its cache. Both have two
worker processes, enqueue all jobs, and then wait for the result of each. Redis writes nothing to the disk.

dramatiq waits most of its time, about 2 ms for each job; taking more jobs ahead (``DRAMATIQ_QUEUE_PREFETCH``)
changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator

_HUEY_APP = """
import os
from huey import RedisHuey

huey = RedisHuey("jobs", url=os.environ["QUEUE_URL"])

@huey.task()
def nothing(upload):
    return True
"""
_DRAMATIQ_APP = """
import os
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=os.environ["QUEUE_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["QUEUE_URL"])))
dramatiq.set_broker(broker)

@dramatiq.actor(store_results=True)
def nothing(upload):
    return True
"""
_PRODUCER = """
import sys, time
from app import nothing

print(flush=True)
for line in sys.stdin:
    begin = time.perf_counter()
    sent = [{submit} for _ in range(int(line))]
    for one in sent:
        assert one.{result} is True
    print(time.perf_counter() - begin, flush=True)
"""


class Peer(NamedTuple):
    """A job queue, its packages, its programs and the command of its two worker processes."""

    name: str
    packages: tuple[str, ...]
    app: str
    producer: str
    workers: tuple[str, ...]


HUEY = Peer(
    "huey",
    ("huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0"),
    _HUEY_APP,
    _PRODUCER.format(submit='nothing(b"x" * 1024)', result="get(blocking=True)"),
    ("huey_consumer", "app.huey", "-w", "2", "-k", "process", "-q"),
)
DRAMATIQ = Peer(
    "dramatiq",
    ("dramatiq[redis]==2.2.1", "redis==8.1.0", "hiredis==3.5.0"),
    _DRAMATIQ_APP,
    _PRODUCER.format(submit='nothing.send("x" * 1024)', result="get_result(block=True, timeout=600_000)"),
    ("dramatiq", "app", "-p", "2", "-t", "1"),
)


class Cost(NamedTuple):
    """What a number of jobs took.

    Attributes:
        jobs: How many.
        seconds: From the first submit to the last result.
        cpu: Processor seconds of all processes.
    """

    jobs: int
    seconds: float
    cpu: float

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time for each job."""
        return 1000 * self.cpu / self.jobs


def why_not() -> str | None:
    """Say what is missing to run the peers; None if nothing is."""
    missing = [program for program in ("redis-server", "uv") if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def cpu_seconds() -> float:
    """The processor time of this process and of all below it that run."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


class RunningPeer:
    """A peer whose processes run.

    Args:
        producer: Enqueues as many jobs as a line of its input says, and prints the seconds until all have
            ended.
    """

    def __init__(self, producer: subprocess.Popen[str]) -> None:
        self._input = cast("IO[str]", producer.stdin)
        self._output = cast("IO[str]", producer.stdout)

    def run(self, jobs: int) -> Cost:
        """Run a number of jobs.

        Args:
            jobs: How many.

        Returns:
            What they took.
        """
        before = cpu_seconds()
        self._input.write(f"{jobs}\n")
        self._input.flush()
        seconds = float(self._output.readline())
        return Cost(jobs, seconds, cpu_seconds() - before)


@contextlib.contextmanager
def running(peer: Peer) -> Generator[RunningPeer]:
    """Run Redis, the workers and the producer of a peer while the context is open.

    Args:
        peer: Which one.

    Yields:
        The peer, which accepts jobs.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "app.py").write_text(peer.app)
        (folder / "producer.py").write_text(peer.producer)
        port = _free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        _started(stack, ["redis-server", *options], subprocess.DEVNULL)
        _wait_for(port)
        packages = [option for package in peer.packages for option in ("--with", package)]
        command = ["uv", "run", "-q", "--no-project", "--python", "3.11", *packages]
        environment = {**os.environ, "QUEUE_URL": f"redis://127.0.0.1:{port}/0", "PYTHONPATH": str(folder)}
        with (folder / "workers.log").open("wb") as log:
            _started(stack, [*command, *peer.workers], log, environment)
        producer = stack.enter_context(
            subprocess.Popen(  # noqa: S603 - the script above
                [*command, "python", str(folder / "producer.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            )
        )
        stack.callback(cast("IO[str]", producer.stdin).close)
        cast("IO[str]", producer.stdout).readline()
        yield RunningPeer(producer)


def _started(
    stack: contextlib.ExitStack,
    command: list[str],
    output: int | IO[bytes],
    environment: dict[str, str] | None = None,
) -> None:
    """Start a program that is ended when the stack is closed, with its child processes."""
    process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)  # noqa: S603 - the commands above

    def stop() -> None:
        below = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with process:
            pass
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    stack.callback(stop)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return cast("int", taken.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError("redis-server does not start")
