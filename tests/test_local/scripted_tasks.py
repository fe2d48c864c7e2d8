"""Tasks of which a test decides how they behave; run in the local server's worker processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cl_client.local.tasks.contract import MAX_WARNINGS, TaskFailedError
from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from cl_client.local.tasks.contract import TaskContext


class ScriptedParams(TaskParams):
    """What to do, and the file to wait for."""

    action: str = "succeed"
    gate: str = ""


def _wait_for(gate: str) -> None:
    while gate and not Path(gate).exists():
        time.sleep(0.01)


def run(context: TaskContext[ScriptedParams]) -> JSONObject:
    """Do what the parameters say."""
    _wait_for(context.params.gate)
    return _ACTIONS[context.params.action](context)


def _succeed(context: TaskContext[ScriptedParams]) -> JSONObject:
    context.output_file.write_bytes(context.input_file.read_bytes())
    return {"size": context.input_file.stat().st_size}


def _progress(context: TaskContext[ScriptedParams]) -> JSONObject:
    for percent in (10, 10, 50, 40, 200):
        context.report(percent)
    return {}


def _warn(context: TaskContext[ScriptedParams]) -> JSONObject:
    for number in range(MAX_WARNINGS + 5):
        context.warn(f"part {number // 2} is damaged")
        context.warn(f"line {number} is missing")
    return {"size": 1}


def _fail(context: TaskContext[ScriptedParams]) -> JSONObject:
    context.report(30)
    raise TaskFailedError(f"{context.input_file.name}: no picture")


def _raise(_context: TaskContext[ScriptedParams]) -> JSONObject:
    raise ZeroDivisionError("a fault of the task")


def _exit(_context: TaskContext[ScriptedParams]) -> JSONObject:
    os._exit(7)


def _die(_context: TaskContext[ScriptedParams]) -> JSONObject:
    os.kill(os.getpid(), signal.SIGTERM)
    return {}


def _not_json(_context: TaskContext[ScriptedParams]) -> JSONObject:
    return cast("JSONObject", {"path": object()})


def _nan(_context: TaskContext[ScriptedParams]) -> JSONObject:
    return {"score": float("nan")}


def _noisy(_context: TaskContext[ScriptedParams]) -> JSONObject:
    print("from Python")  # noqa: T201 - what a library does that it should not
    os.write(1, b"from a C library\n")
    return {"stdin": sys.stdin.read()}


def _large(_context: TaskContext[ScriptedParams]) -> JSONObject:
    return {"text": "x" * 1_000_000}


def _process_id(_context: TaskContext[ScriptedParams]) -> JSONObject:
    return {"pid": os.getpid()}


_ACTIONS = {
    "succeed": _succeed,
    "progress": _progress,
    "fail": _fail,
    "warn": _warn,
    "raise": _raise,
    "exit": _exit,
    "die": _die,
    "not_json": _not_json,
    "nan": _nan,
    "noisy": _noisy,
    "large": _large,
    "process_id": _process_id,
}
