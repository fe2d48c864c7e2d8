"""A task that does what a test tells it over a socket, whose port is the content of the job's file."""

from __future__ import annotations

import socket

from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.models import JSONObject, TaskParams


class ScriptedParams(TaskParams):
    """It takes none."""


def run(context: TaskContext[ScriptedParams]) -> JSONObject:
    """Follow orders until told to finish or to fail."""
    port = int(context.input_file.read_text())
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("r") as orders:
        for order in orders:
            word, _, argument = order.strip().partition(" ")
            if word == "progress":
                context.report(int(argument))
            elif word == "fail":
                raise TaskFailedError(argument)
            elif word == "finish":
                return {"done": True}
    raise TaskFailedError("the test hung up")
