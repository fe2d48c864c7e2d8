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


class ServerOptions(NamedTuple):
    """What `LocalServer` is told besides the null task; its own words."""

    port: int = 0
    mqtt_url: str | None = None
    data_dir: Path | None = None
    workers: int = 1
    tasks: tuple[str, ...] = ()


ADDRESSES = TypeAdapter(Addresses)
_OPTIONS = TypeAdapter(ServerOptions)


class NullServerProcess:
    """The server in its process; with a port and a data folder it can be killed and started again."""

    def __init__(self, options: ServerOptions) -> None:
        self._command = [sys.executable, __file__, _OPTIONS.dump_json(options).decode()]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Addresses:
        """Start it, and return when it takes jobs."""
        self._process = subprocess.Popen(  # noqa: S603 - this file
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent
        )
        return ADDRESSES.validate_json(cast("IO[bytes]", self._process.stdout).readline())

    def stop(self) -> None:
        """End it in good order. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                cast("IO[bytes]", process.stdin).close()

    def kill(self) -> None:
        """End it without a chance to say good-bye. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.kill()


@contextlib.contextmanager
def null_server(options: ServerOptions | None = None) -> Generator[Addresses]:
    """The server while the context is open."""
    server = NullServerProcess(options or ServerOptions())
    try:
        yield server.start()
    finally:
        server.stop()


def null_client(addresses: Addresses) -> ComputeClient:
    """A client that knows the null task."""
    config = ComputeClientConfig.create(
        base_url=addresses.base_url,
        mqtt_broker=addresses.mqtt_url,
        plugin_endpoints={NULL: f"/jobs/{NULL}"},
    )
    return ComputeClient(config=config)


def serve(options: ServerOptions) -> None:
    """Serve until stdin ends."""
    from cl_client.local import LocalServer

    with LocalServer(
        port=options.port,
        mqtt_url=options.mqtt_url,
        data_dir=options.data_dir,
        workers=options.workers,
        tasks=options.tasks,
        extra_tasks={NULL: NULL_TASK},
        max_upload_bytes=_MAX_UPLOAD,
    ) as server:
        print(json.dumps([server.base_url, server.mqtt_url]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(_OPTIONS.validate_json(sys.argv[1]))
