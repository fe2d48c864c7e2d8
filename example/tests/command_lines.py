"""The fixtures that run `cl-client`, by their types, and what it printed as JSON."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from subprocess import CompletedProcess
from threading import Thread
from typing import IO, Protocol, TypeAlias

from pydantic import TypeAdapter

from cl_client import JSONObject

_OBJECT: TypeAdapter[JSONObject] = TypeAdapter(JSONObject)


class RunningCommand(Protocol):
    """What tests use of a command that runs, be it a `subprocess.Popen` or not."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> IO[str] | None: ...
    @property
    def stderr(self) -> IO[str] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


RunCLI: TypeAlias = Callable[..., CompletedProcess[str]]
"""Runs a command to its end."""
StartCLI: TypeAlias = Callable[..., AbstractContextManager[RunningCommand]]
"""Starts a command whose output can be read while it runs."""
StartInTerminal: TypeAlias = Callable[..., AbstractContextManager[RunningCommand]]
"""Starts a command with a terminal, given by its descriptor, for all of its streams."""
ShownInTerminal: TypeAlias = Callable[..., str]
"""Runs a command in a terminal, and gives what it wrote there."""


def said_until(process: RunningCommand, words: str) -> str:
    """What a command has said on stderr, read until these words have come."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, f"it ended without a word of {words!r}, and had said {said!r}"
        said += line
    return said


def rest_of(process: RunningCommand) -> tuple[str, str]:
    """What a command still says to its end, on stdout and on stderr.

    Unlike `subprocess.Popen.communicate` with what was buffered while lines were read.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    # Not of a pool, which waits for its threads even where the test's time is up.
    reader = Thread(target=_read_all, args=(process.stderr, errors), daemon=True)
    reader.start()
    said = process.stdout.read()
    reader.join()
    process.wait()
    return said, errors[0]


def _read_all(stream: IO[str], into: list[str]) -> None:
    into.append(stream.read())


def json_objects(shown: CompletedProcess[str]) -> list[JSONObject]:
    """What a command told with ``--json``, which is an object on each line and nothing else."""
    return [_OBJECT.validate_json(line) for line in shown.stdout.splitlines()]
