"""A local server with the null task, in a separate process, so that it does not share the interpreter."""

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
    """The URLs of the server and its broker."""

    base_url: str
    mqtt_url: str


class ServerOptions(NamedTuple):
    """The options of `LocalServer` besides the null task, by the same names."""

    port: int = 0
    mqtt_url: str | None = None
    data_dir: Path | None = None
    workers: int = 1
    tasks: tuple[str, ...] = ()


ADDRESSES = TypeAdapter(Addresses)
_OPTIONS = TypeAdapter(ServerOptions)


class NullServerProcess:
    """The server in its process; with a port and a data folder it can be killed and restarted."""

    def __init__(self, options: ServerOptions) -> None:
        self._command = [sys.executable, __file__, _OPTIONS.dump_json(options).decode()]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Addresses:
        """Start the server, and return when it accepts jobs.

        Returns:
            Its addresses.
        """
        self._process = subprocess.Popen(  # noqa: S603 - this file
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent
        )
        return ADDRESSES.validate_json(cast("IO[bytes]", self._process.stdout).readline())

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return cast("subprocess.Popen[bytes]", self._process).pid

    def stop(self) -> None:
        """Stop the server properly. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                cast("IO[bytes]", process.stdin).close()

    def kill(self) -> None:
        """Kill the server. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.kill()


@contextlib.contextmanager
def null_server(options: ServerOptions | None = None) -> Generator[Addresses]:
    """Run the server while the context is open.

    Args:
        options: Its options; None for the defaults.

    Yields:
        Its addresses.
    """
    server = NullServerProcess(options or ServerOptions())
    try:
        yield server.start()
    finally:
        server.stop()


def null_client(addresses: Addresses) -> ComputeClient:
    """A client that knows the null task.

    Args:
        addresses: The addresses of the server.

    Returns:
        The client, not open yet.
    """
    config = ComputeClientConfig.create(
        base_url=addresses.base_url,
        mqtt_broker=addresses.mqtt_url,
        plugin_endpoints={NULL: f"/jobs/{NULL}"},
    )
    return ComputeClient(config=config)


def serve(options: ServerOptions) -> None:
    """Serve until standard input ends.

    Args:
        options: The options of the server.
    """
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
