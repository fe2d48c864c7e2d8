"""The functions that one job calls here: ``uv run python benchmarks/job_path.py [--list] [--json]``.

The counts are for one submit with ``wait=True``, from the call to its return, in all threads. An earlier job
of the same client has filled caches and done the imports. The server is another process.

A function is a ``def`` or a ``lambda`` in `src/cl_client` without `local`. A comprehension or generator
expression belongs to the function around it, as newer Pythons give it no frame of its own. A call is an entry
into a function; resuming a generator or coroutine does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import dis
import inspect
import json
import sys
import threading
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cl_client

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType, FrameType

    from figures import Figure

    from cl_client import ComputeClient, JSONObject

_LIBRARY = f"{Path(cl_client.__file__).parent}/"
_LOCAL = f"{_LIBRARY}local/"
_PARTS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_JOBS = 9
_CONNECT_SECONDS = 10
_MAX_FUNCTIONS = 95
_MAX_FILES = 20


@dataclass(frozen=True)
class JobPath:
    """The functions that one job calls.

    Attributes:
        calls: How often each function was called, in the order of the first calls.
    """

    calls: Counter[CodeType]

    @property
    def by_file(self) -> dict[str, list[CodeType]]:
        """The functions of each file."""
        files: dict[str, list[CodeType]] = {}
        for code in self.calls:
            files.setdefault(code.co_filename.removeprefix(_LIBRARY), []).append(code)
        return files


class Recorder:
    """Records the calls of this library's functions, in all threads that are started after it."""

    def __init__(self) -> None:
        self._recording = False
        self._called: deque[CodeType] = deque()

    @contextmanager
    def installed(self) -> Generator[None]:
        """Watch this thread and later ones; a thread that is already running cannot be watched.

        Yields:
            Nothing.
        """
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def recording(self) -> Generator[None]:
        """Start a new recording, and record the calls in the context.

        Yields:
            Nothing.
        """
        self._called.clear()
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def path(self) -> JobPath:
        """The calls of the last recording.

        Returns:
            The calls.
        """
        return JobPath(Counter(self._called))

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> None:
        if not self._recording or event != "call":
            return
        code = frame.f_code
        if _is_counted(code) and frame.f_lasti <= _first_entry(code):
            self._called.append(code)  # atomic, so that threads need no lock


@cache
def _is_counted(code: CodeType) -> bool:
    file = code.co_filename
    return file.startswith(_LIBRARY) and not file.startswith(_LOCAL) and code.co_name not in _PARTS


@cache
def _first_entry(code: CodeType) -> int:
    """The offset of a frame at its first entry, and at no other time."""
    if not code.co_flags & _RESUMABLE:
        return len(code.co_code)
    return next(step.offset for step in dis.get_instructions(code) if step.opname.startswith("RESUME"))


async def _hash(client: ComputeClient) -> None:
    job = await client.hash.compute(b"one small file", wait=True, raise_on_failure=True)
    if job.task_output is None:
        raise RuntimeError("the job has no output")


async def _paths(recorder: Recorder, jobs: int) -> list[JobPath]:
    from null_server import ServerOptions, null_client, null_server

    paths: list[JobPath] = []
    with null_server(ServerOptions(tasks=("hash",))) as addresses, recorder.installed():
        async with null_client(addresses) as client:
            if not await client.mqtt_monitor.wait_connected(_CONNECT_SECONDS):
                raise RuntimeError("the broker does not respond")
            await _hash(client)
            for _ in range(jobs):
                with recorder.recording():
                    await _hash(client)
                paths.append(recorder.path())
    return paths


def typical_path(jobs: int = _JOBS) -> JobPath:
    """Run several jobs, and choose the one with the median number of functions.

    Events may arrive one by one or together, so jobs differ.

    Args:
        jobs: How many jobs to run.

    Returns:
        The calls of that job.
    """
    paths = asyncio.run(_paths(Recorder(), jobs))
    paths.sort(key=lambda path: (len(path.calls), path.calls.total()))
    return paths[len(paths) // 2]


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer jobs.

    Returns:
        The figures.
    """
    from figures import Figure

    path = typical_path(3 if quick else _JOBS)
    details: JSONObject = {"calls": path.calls.total()}
    return [
        Figure("functions that one job runs through", len(path.calls), "", _MAX_FUNCTIONS, details=details),
        Figure("files that they are in", len(path.by_file), "", _MAX_FILES),
    ]


def _as_json(path: JobPath) -> JSONObject:
    return {
        "functions": len(path.calls),
        "files": len(path.by_file),
        "calls": path.calls.total(),
        "by_file": {
            file: {f"{code.co_qualname}:{code.co_firstlineno}": path.calls[code] for code in codes}
            for file, codes in path.by_file.items()
        },
    }


def _print_list(path: JobPath) -> None:
    for file, codes in path.by_file.items():
        print(f"{file}: {len(codes)} functions, {sum(path.calls[code] for code in codes)} calls")
        for code in codes:
            print(f"    {path.calls[code]:4} x {code.co_qualname}")


class _Arguments(argparse.Namespace):
    list: bool = False
    json: bool = False


def main() -> None:
    """Count the calls, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--list", action="store_true", help="the functions by file, in order of first call")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    arguments = parser.parse_args(namespace=_Arguments())
    path = typical_path()
    if arguments.json:
        print(json.dumps(_as_json(path), indent=2))
        return
    if arguments.list:
        _print_list(path)
    print(f"functions {len(path.calls):4}   at most {_MAX_FUNCTIONS}")
    print(f"files     {len(path.by_file):4}   at most {_MAX_FILES}")
    print(f"calls     {path.calls.total():4}")


if __name__ == "__main__":
    main()
