"""The fixtures that run `cl-client`, by their types, and what it printed as JSON."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from subprocess import CompletedProcess, Popen
from typing import TypeAlias

from pydantic import TypeAdapter

from cl_client import JSONObject

_OBJECT: TypeAdapter[JSONObject] = TypeAdapter(JSONObject)

RunCLI: TypeAlias = Callable[..., CompletedProcess[str]]
"""Runs a command to its end."""
StartCLI: TypeAlias = Callable[..., AbstractContextManager[Popen[str]]]
"""Starts a command whose output can be read while it runs."""


def json_objects(shown: CompletedProcess[str]) -> list[JSONObject]:
    """What a command told with ``--json``, which is an object on each line and nothing else."""
    return [_OBJECT.validate_json(line) for line in shown.stdout.splitlines()]
