"""The command `cl-client server`: a local compute server in the foreground."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypedDict

from rich.table import Table
from rich.text import Text

from cl_client.exceptions import ComputeClientError
from cl_client.local import LocalServer
from cl_client_cli.terminal import (
    EXIT_FAILED,
    EXIT_WRONG_USE,
    make_console,
    print_error,
    run_interruptible,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from typing_extensions import Unpack

    from cl_client.local.generations import Generation


class ServerOptions(TypedDict):
    """The command's options; `cl_client.local.LocalServer` explains each."""

    host: str
    port: int
    mqtt_port: int
    mqtt_url: str | None
    data_dir: Path | None
    workers: int | None
    generation: Generation


def run_server(**options: Unpack[ServerOptions]) -> int:
    """Run a server until it is asked to end; the process's exit code."""
    console = make_console()
    try:
        server = LocalServer(**options)
        run_interruptible(_serve(console, server))
    except KeyboardInterrupt:
        console.print("The server has stopped.")
        return 0
    except OSError as exc:
        print_error(str(exc))
        return EXIT_FAILED
    except (ComputeClientError, ValueError) as exc:
        print_error(str(exc))
        return EXIT_WRONG_USE
    return 0


async def _serve(console: Console, server: LocalServer) -> None:
    async with server:
        console.print(_description(server))
        console.print("Ctrl-C stops it.")
        await asyncio.Event().wait()


def _description(server: LocalServer) -> Table:
    table = Table.grid(padding=(0, 2))
    kept = "" if server.settings.data_dir is not None else " (temporary)"
    for name, value in (
        ("HTTP", server.base_url),
        ("MQTT", server.mqtt_url),
        ("Workers", str(server.worker_count)),
        ("Tasks", ", ".join(sorted(server.task_types))),
        ("Data", f"{server.data_dir}{kept}"),
        ("In Python", f'ComputeClient("{server.base_url}", mqtt_broker="{server.mqtt_url}")'),
    ):
        table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    return table
