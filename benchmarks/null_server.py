"""A local server with the null task, in a process of its own: it shall not share the client's interpreter."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from null_task import NULL, NULL_TASK
from pydantic import TypeAdapter

from cl_client import ComputeClient, ComputeClientConfig

if TYPE_CHECKING:
    from collections.abc import Generator


_MAX_UPLOAD = 5 * 1024**3


class Addresses(NamedTuple):
    """Where the server is."""

    base_url: str
    mqtt_url: str


ADDRESSES = TypeAdapter(Addresses)


@contextlib.contextmanager
def null_server() -> Generator[Addresses]:
    """The server while the context is open."""
    command = [sys.executable, __file__]
    folder = Path(__file__).parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder) as process:  # noqa: S603 - this file
        yield ADDRESSES.validate_json(cast("IO[bytes]", process.stdout).readline())
        cast("IO[bytes]", process.stdin).close()


def null_client(addresses: Addresses) -> ComputeClient:
    """A client that knows the null task."""
    config = ComputeClientConfig.create(
        base_url=addresses.base_url,
        mqtt_broker=addresses.mqtt_url,
        plugin_endpoints={NULL: f"/jobs/{NULL}"},
    )
    return ComputeClient(config=config)


def serve() -> None:
    """Serve until stdin ends."""
    from null_task import NULL

    from cl_client.local import LocalServer

    with LocalServer(
        workers=1, tasks=[], extra_tasks={NULL: NULL_TASK}, max_upload_bytes=_MAX_UPLOAD
    ) as server:
        print(json.dumps([server.base_url, server.mqtt_url]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve()
