"""The command `cl-client server`: a local compute server in the foreground."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NotRequired, TypedDict

from rich.table import Table
from rich.text import Text

from cl_client.exceptions import ComputeClientError
from cl_client.local import LocalServer, ServerTLS
from cl_client_cli.frame.exit_codes import SOME_FAILED, WRONG_USE
from cl_client_cli.frame.interruption import run_interruptible
from cl_client_cli.frame.terminal import make_console, print_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console
    from typing_extensions import Unpack

    from cl_client.local.generations import Generation

ADMIN_PASSWORD_VARIABLE = "CL_CLIENT_ADMIN_PASSWORD"  # noqa: S105 - a name
"""Not an option: the arguments of a process can be read by every user of the machine."""


class ServerOptions(TypedDict):
    """The command's options; `cl_client.local.LocalServer` explains each."""

    host: str
    port: int
    mqtt_port: int
    mqtt_url: str | None
    data_dir: Path | None
    workers: int | None
    generation: Generation
    auth: NotRequired[bool]
    auth_port: NotRequired[int]
    mqtt_auth: NotRequired[bool]


def run_server(
    *,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_client_ca: Path | None = None,
    **options: Unpack[ServerOptions],
) -> int:
    """Run a server until it is asked to end; the process's exit code.

    `cl_client.local.ServerTLS` explains the three files.
    """
    console = make_console()
    try:
        password = os.environ.get(ADMIN_PASSWORD_VARIABLE) or None
        tls = _server_tls(tls_cert, tls_key, tls_client_ca)
        server = LocalServer(**options, tls=tls, admin_password=password)
        run_interruptible(_serve(console, server))
    except KeyboardInterrupt:
        console.print("The server has stopped.")
        return 0
    except OSError as exc:
        print_error(str(exc))
        return SOME_FAILED
    except (ComputeClientError, ValueError) as exc:
        print_error(str(exc))
        return WRONG_USE
    return 0


def _server_tls(
    cert_file: Path | None, key_file: Path | None, client_ca_file: Path | None
) -> ServerTLS | None:
    if cert_file is not None and key_file is not None:
        return ServerTLS(cert_file, key_file, client_ca_file)
    if (cert_file, key_file, client_ca_file) != (None, None, None):
        raise ValueError("TLS needs the server's certificate and its key: give --tls-cert and --tls-key")
    return None


async def _serve(console: Console, server: LocalServer) -> None:
    async with server:
        console.print(_description(server))
        console.print("Ctrl-C stops it.")
        await asyncio.Event().wait()


def _description(server: LocalServer) -> Table:
    table = Table.grid(padding=(0, 2))
    kept = "" if server.settings.data_dir is not None else " (temporary)"
    auth = server.settings.auth is not None
    for name, value in (
        ("HTTP", server.base_url),
        *([("Auth", server.auth_url)] if auth else []),
        ("MQTT", server.mqtt_url),
        ("Workers", str(server.worker_count)),
        ("Tasks", ", ".join(sorted(server.task_types))),
        ("Data", f"{server.data_dir}{kept}"),
        ("In Python", f"ComputeClient({', '.join(_client_arguments(server))})"),
    ):
        table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    return table


def _client_arguments(server: LocalServer) -> Iterator[str]:
    yield f'"{server.base_url}"'
    yield f'mqtt_broker="{server.mqtt_url}"'
    if server.settings.auth is not None:
        yield f'auth_provider=PasswordAuthProvider("{server.auth_url}", "admin", password)'
    if server.settings.tls is not None:
        yield "config=ComputeClientConfig.create(ca_file=...)"
