"""What it takes to start: the command line, the local server, and the memory of a server without a job.

CPU seconds are those of all processes; they depend less on what else the machine does than seconds do.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import psutil
from figures import Figure

from cl_client.local.samples import draw_photo

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from cl_client.models import JSONObject

_SERVERS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
_CLI: Final = (sys.executable, "-m", "cl_client_cli")
_IMPORTS: Final = "import httpx, paho.mqtt.client, pydantic, PIL.Image, starlette.applications, uvicorn"
_PILLOW: Final = """
import hashlib, sys
from PIL import Image
print(hashlib.sha512(Image.open(sys.argv[1]).convert("RGB").tobytes()).hexdigest())
"""
_ARGPARSE: Final = "import argparse; argparse.ArgumentParser(description='Hash files').print_help()"
_CYCLOPTS: Final = "import cyclopts, rich.console"
_COMPLETE: Final = """
source "$1"
COMP_WORDS=(cl-client hash compute --al) COMP_CWORD=3
"$(complete -p cl-client | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
echo "${COMPREPLY[@]}"
"""
_READY: Final = """
import asyncio, sys, time
from cl_client.local import LocalServer

async def main():
    begin = time.perf_counter()
    async with LocalServer(broker=sys.argv[1]):
        print(time.perf_counter() - begin, flush=True)

asyncio.run(main())
"""


class _Cost(NamedTuple):
    seconds: float
    cpu: float


def _cost(command: Sequence[str], *, shows: str = "") -> _Cost:
    """Run a command to its end; its seconds, and the CPU seconds of all its processes."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - see above
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if shows not in done.stdout:
        raise RuntimeError(f"{shows} is missing in: {done.stdout}")
    return _Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _medians(samples: list[_Cost]) -> _Cost:
    return _Cost(
        statistics.median(one.seconds for one in samples), statistics.median(one.cpu for one in samples)
    )


def _one_hash(turns: int, folder: Path) -> list[Figure]:
    photo = folder / "one.jpg"
    draw_photo(photo, size=(1600, 1200))
    commands = (
        (*_CLI, "hash", "compute", str(photo), "--local"),
        (sys.executable, "-c", _PILLOW, str(photo)),
        (sys.executable, "-c", _IMPORTS),
    )
    samples = [[_cost(command) for command in commands] for _ in range(turns)]
    ours, loop, imports = (_medians([row[column] for row in samples]) for column in range(3))
    details: JSONObject = {
        "a plain script with Pillow": f"{loop.cpu:.2f} CPU s",
        "imports of the libraries alone": f"{imports.cpu:.2f} CPU s",
    }
    return [
        Figure("hash compute one.jpg --local, CPU of all processes", ours.cpu, "CPU s", 1.3, details=details),
        Figure("the same from start to exit", ours.seconds, "s", 1.3),
    ]


def _help_and_completion(turns: int, folder: Path) -> list[Figure]:
    script = folder / "completion.bash"
    code = "from cl_client_cli.main import make_app; print(make_app().generate_completion(shell='bash'))"
    made = subprocess.run(  # noqa: S603 - fixed arguments
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    script.write_text(made.stdout)
    commands = [
        (*_CLI, "--help"),
        (*_CLI, "hash", "compute", "--help"),
        (sys.executable, "-c", _ARGPARSE),
        (sys.executable, "-c", _CYCLOPTS),
    ]
    samples = [[_cost(command) for command in commands] for _ in range(turns)]
    first, second, argparse, cyclopts = (_medians([row[column] for row in samples]) for column in range(4))
    details: JSONObject = {
        "CPU": f"{first.cpu:.2f} s",
        "hash compute --help": f"{second.seconds:.2f} s",
        "help of argparse alone": f"{argparse.seconds:.2f} s",
        "import cyclopts, rich": f"{cyclopts.seconds:.2f} s",
    }
    figures = [Figure("cl-client --help", first.seconds, "s", 0.25, details=details)]
    bash = shutil.which("bash")
    if bash is not None:
        command = (bash, "-c", _COMPLETE, "bash", str(script))
        completed = [_cost(command, shows="--algorithm") for _ in range(turns)]
        figures.append(Figure("completion of an option in bash", _medians(completed).seconds, "s", 0.25))
    return figures


def _ready(turns: int, broker: str) -> list[Figure]:
    """Seconds until jobs are accepted: in a process that has imported it, and from the start of a process."""
    warm: list[float] = []
    fresh: list[float] = []
    for _ in range(turns):
        begin = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - fixed arguments
            [sys.executable, "-c", _READY, broker], stdout=subprocess.PIPE, text=True
        ) as process:
            if process.stdout is None:
                raise RuntimeError("The process has no standard output")
            warm.append(float(cast("str", process.stdout.readline())))
            fresh.append(time.perf_counter() - begin)
    name = f"LocalServer ready with {broker}"
    return [
        Figure(f"{name}, already imported", statistics.median(warm), "s", 0.8),
        Figure(f"{name}, in a new process", statistics.median(fresh), "s", 0.8),
    ]


@contextmanager
def _served() -> Generator[psutil.Process]:
    command = [*_CLI, "server", "--port", "0", "--mqtt-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
        try:
            while process.stdout is not None and "Ctrl-C" not in process.stdout.readline():
                pass
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _idle_memory() -> list[Figure]:
    """The proportional set size of all processes of a server, once none of them does anything more."""
    with _served() as server:
        spent = -1.0
        while spent != (spent := _cpu_seconds(server)):
            time.sleep(1)
        each = {f"{one.name()} {one.pid}": _pss(one.pid) for one in _all_of(server)}
    details: JSONObject = {name: round(mib, 1) for name, mib in each.items()}
    return [
        Figure("memory (PSS) of an idle cl-client server", sum(each.values()), "MiB", 120, details=details)
    ]


def _cpu_seconds(server: psutil.Process) -> float:
    times = [one.cpu_times() for one in _all_of(server)]
    return sum(spent.user + spent.system for spent in times)


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def _all_of(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures.
    """
    turns = 3 if quick else 11
    with tempfile.TemporaryDirectory() as name:
        figures = [*_one_hash(turns, Path(name)), *_help_and_completion(turns, Path(name))]
    brokers = ["mosquitto", "amqtt"] if shutil.which("mosquitto", path=_SERVERS) else ["amqtt"]
    for broker in brokers:
        figures += _ready(turns, broker)
    return [*figures, *(_idle_memory() if sys.platform == "linux" else [])]
