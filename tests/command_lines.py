"""The fixtures that run `cl-client`, by their types, and what it printed as JSON."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from subprocess import CompletedProcess, Popen
from typing import TypeAlias, cast

from pydantic import TypeAdapter

from cl_client import JSONObject

_OBJECT: TypeAdapter[JSONObject] = TypeAdapter(JSONObject)

RunCLI: TypeAlias = Callable[..., CompletedProcess[str]]
"""Runs a command to its end."""
StartCLI: TypeAlias = Callable[..., AbstractContextManager[Popen[str]]]
"""Starts a command whose output can be read while it runs."""


def said_until(process: Popen[str], words: str) -> str:
    """What a command has said on stderr, read until these words have come."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = cast("str", process.stderr.readline())
        assert line, f"it ended without a word of {words!r}, and had said {said!r}"
        said += line
    return said


def rest_of(process: Popen[str]) -> tuple[str, str]:
    """What a command still says to its end, on stdout and on stderr.

    Unlike `Popen.communicate` with what was buffered while lines were read.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    with ThreadPoolExecutor(1) as pool:
        errors = pool.submit(process.stderr.read)
        said = cast("str", process.stdout.read())
    process.wait()
    return said, cast("str", errors.result())


def json_objects(shown: CompletedProcess[str]) -> list[JSONObject]:
    """What a command told with ``--json``, which is an object on each line and nothing else."""
    return [_OBJECT.validate_json(line) for line in shown.stdout.splitlines()]
