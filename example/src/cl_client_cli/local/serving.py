"""The command `cl-client server`: a local compute server in the foreground."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from cl_client.exceptions import ComputeClientError
from cl_client.local import LocalServer, ServerTLS
from cl_client_cli.frame.exit_codes import SOME_FAILED, WRONG_USE
from cl_client_cli.frame.interruption import run_interruptible
from cl_client_cli.frame.tables import facts_table
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.server.announcements import announced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from rich.table import Table
    from typing_extensions import Unpack

    from cl_client import JSONObject
    from cl_client.local.generations import Generation
    from cl_client_cli.frame.options import OutputOptions

ADMIN_PASSWORD_VARIABLE = "CL_CLIENT_ADMIN_PASSWORD"  # noqa: S105 - a name
"""Not an option: the arguments of a process can be read by every user of the machine."""

_LONGEST_NAME: Final = 40


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
    output: OutputOptions,
    *,
    announce: bool,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_client_ca: Path | None = None,
    **options: Unpack[ServerOptions],
) -> int:
    """Run a server until it is asked to end; the process's exit code.

    Args:
        output: How the addresses are told.
        announce: Whether to announce it by mDNS.
        tls_cert: See `cl_client.local.ServerTLS`; the other two alike.
        tls_key: See there.
        tls_client_ca: See there.
        options: Those of `cl_client.local.LocalServer`.
    """
    terminal = Terminal.make(output)
    try:
        password = os.environ.get(ADMIN_PASSWORD_VARIABLE) or None
        tls = _server_tls(tls_cert, tls_key, tls_client_ca)
        server = LocalServer(**options, tls=tls, admin_password=password)
        run_interruptible(_serve(terminal, server, announce=announce))
    except KeyboardInterrupt:
        terminal.say("The server has stopped.")
        return 0
    except OSError as exc:
        terminal.error(str(exc))
        return SOME_FAILED
    except (ComputeClientError, ValueError) as exc:
        terminal.error(str(exc))
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


async def _serve(terminal: Terminal, server: LocalServer, *, announce: bool) -> None:
    async with server, _announced(server) if announce else nullcontext():
        terminal.record(_addresses(server))
        terminal.result(_description(server))
        if announce:
            terminal.say("It is announced on the network, where cl-client discover finds it.")
        terminal.say("Ctrl-C stops it.")
        await asyncio.Event().wait()


def _announced(server: LocalServer) -> AbstractAsyncContextManager[None]:
    properties = {"compute_url": server.base_url, "mqtt_url": server.mqtt_url, "desc": "cl-client server"}
    if server.settings.auth is not None:
        properties["auth_url"] = server.auth_url
    # A dot in a name would part it, and DNS takes 63 bytes.
    machine = socket.gethostname().partition(".")[0][:_LONGEST_NAME]
    return announced(f"CL Server on {machine}", server.settings.host, properties)


def _addresses(server: LocalServer) -> JSONObject:
    return {
        "base_url": server.base_url,
        "mqtt_url": server.mqtt_url,
        "auth_url": None if server.settings.auth is None else server.auth_url,
        "data_dir": str(server.data_dir),
        "workers": server.worker_count,
        "tasks": [*sorted(server.task_types)],
    }


def _description(server: LocalServer) -> Table:
    kept = "" if server.settings.data_dir is not None else " (temporary)"
    facts = {
        "HTTP": server.base_url,
        "Auth": "" if server.settings.auth is None else server.auth_url,
        "MQTT": server.mqtt_url,
        "Workers": str(server.worker_count),
        "Tasks": ", ".join(sorted(server.task_types)),
        "Data": f"{server.data_dir}{kept}",
        "In Python": f"ComputeClient({', '.join(_client_arguments(server))})",
    }
    return facts_table({name: value for name, value in facts.items() if value})


def _client_arguments(server: LocalServer) -> Iterator[str]:
    yield f'"{server.base_url}"'
    yield f'mqtt_broker="{server.mqtt_url}"'
    if server.settings.auth is not None:
        yield f'auth_provider=PasswordAuthProvider("{server.auth_url}", "admin", password)'
    if server.settings.tls is not None:
        yield "config=ComputeClientConfig.create(ca_file=...)"
