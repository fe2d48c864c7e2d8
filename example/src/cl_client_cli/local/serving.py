"""The command `cl-client server`: a local compute server in the foreground."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, TypedDict

from cl_client import ConfigurationError
from cl_client.local import LocalServer, ServerTLS
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.remedies import remedy_for
from cl_client_cli.frame.tables import facts_table
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.server.announcements import announced, is_reachable_by_others

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from rich.table import Table
    from typing_extensions import Unpack

    from cl_client import JSONObject
    from cl_client.local import Generation
    from cl_client_cli.frame.options import OutputOptions
    from cl_client_cli.frame.terminal import Terminal

ADMIN_PASSWORD_VARIABLE = "CL_CLIENT_ADMIN_PASSWORD"  # noqa: S105 - a name
"""Not an option: the arguments of a process can be read by every user of the machine."""

_LONGEST_NAME: Final = 40


class ServerOptions(TypedDict):
    """The command's options; see `cl_client.local.LocalServer`."""

    host: str
    port: int
    mqtt_port: int
    mqtt_url: str | None
    data_dir: Path | None
    workers: int | None
    generation: Generation
    real_faults: bool
    poll_interval: float | None
    auth: bool
    auth_port: int
    mqtt_auth: bool
    shared: Sequence[Path]


def run_server(
    output: OutputOptions,
    *,
    announce: bool | None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_client_ca: Path | None = None,
    tasks: str | None = None,
    **options: Unpack[ServerOptions],
) -> int:
    """Run a server until it is asked to end.

    Args:
        output: How the addresses are printed.
        announce: Whether to announce it by mDNS; None to do so if other machines can reach it and the network
            allows it.
        tls_cert: See `cl_client.local.ServerTLS`.
        tls_key: See `cl_client.local.ServerTLS`.
        tls_client_ca: See `cl_client.local.ServerTLS`.
        tasks: The names of the tasks to offer, separated by commas; None for all.
        options: See `cl_client.local.LocalServer`.

    Returns:
        The exit code.

    Raises:
        UsageError: Options contradict each other.
    """
    server = _server(_server_tls(tls_cert, tls_key, tls_client_ca), _task_names(tasks), options)

    async def serve(terminal: Terminal) -> int:
        async with AsyncExitStack() as stack:
            with _told_how_to_set_a_password(server):
                await stack.enter_async_context(server)
            announcement = await _announce(stack, server, wanted=announce)
            terminal.record(_addresses(server))
            terminal.result(_description(server))
            if announcement is not None:
                terminal.say(announcement)
            terminal.say("Press Ctrl-C to stop.")
            await asyncio.Event().wait()
        return 0

    return run_guarded(output, serve, stopped_words="The server has stopped.")


def _task_names(tasks: str | None) -> list[str] | None:
    if tasks is None:
        return None
    names = [name.strip().replace("-", "_") for name in tasks.split(",")]
    if not all(names):
        raise UsageError(f"--tasks {tasks!r}: must be names separated by commas, such as hash,exif")
    return [*dict.fromkeys(names)]


def _server(tls: ServerTLS | None, tasks: Sequence[str] | None, options: ServerOptions) -> LocalServer:
    if options["mqtt_auth"] and (not options["auth"] or options["mqtt_url"] is not None):
        raise UsageError("--mqtt-auth requires --auth and the built-in broker: add --auth, remove --mqtt-url")
    _check_shared(options)
    password = os.environ.get(ADMIN_PASSWORD_VARIABLE) or None
    try:
        return LocalServer(**options, tasks=tasks, tls=tls, admin_password=password)
    except ValueError as exc:
        raise UsageError(str(exc)) from None


def _check_shared(options: ServerOptions) -> None:
    for folder in options["shared"]:
        if not folder.is_dir():
            raise UsageError(f"--share {folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if options["shared"] and not options["auth"] and is_reachable_by_others(options["host"]):
        raise UsageError(
            f"--share requires --auth with --host {options['host']}, because other machines can reach this "
            "server: add --auth, or remove --host"
        )


@contextmanager
def _told_how_to_set_a_password(server: LocalServer) -> Generator[None]:
    """Add to an error of the start how admin gets a password; folders are not shared with the default one."""
    if not server.settings.shared or os.environ.get(ADMIN_PASSWORD_VARIABLE):
        yield
        return
    remedy = (
        f"A new server takes the password of admin from the environment variable {ADMIN_PASSWORD_VARIABLE}."
    )
    with remedy_for((ConfigurationError,), remedy):
        yield


def _server_tls(
    cert_file: Path | None, key_file: Path | None, client_ca_file: Path | None
) -> ServerTLS | None:
    if cert_file is not None and key_file is not None:
        return ServerTLS(cert_file, key_file, client_ca_file)
    if (cert_file, key_file, client_ca_file) != (None, None, None):
        raise UsageError("TLS requires a certificate and its key: give both --tls-cert and --tls-key")
    return None


async def _announce(stack: AsyncExitStack, server: LocalServer, *, wanted: bool | None) -> str | None:
    """Announce the server; by default only if other machines can reach it.

    Args:
        stack: Keeps the announcement open.
        server: The server.
        wanted: Whether it is requested; None for the default.

    Returns:
        A message about the result; None if it was not tried.

    Raises:
        OSError: It was requested, and failed.
    """
    by_default = wanted is None and is_reachable_by_others(server.settings.host)
    if not wanted and not by_default:
        return None
    try:
        await stack.enter_async_context(_announced(server))
    except OSError as exc:
        if wanted:
            raise
        return f"The server is not announced on the network: {exc}."
    return "The server is announced on the network; cl-client discover finds it."


def _announced(server: LocalServer) -> AbstractAsyncContextManager[None]:
    properties = {"compute_url": server.base_url, "mqtt_url": server.mqtt_url, "desc": "cl-client server"}
    if server.settings.auth is not None:
        properties["auth_url"] = server.auth_url
    # A dot would split the name, and DNS allows 63 bytes.
    machine = socket.gethostname().partition(".")[0][:_LONGEST_NAME]
    return announced(f"CL Server on {machine}", server.settings.host, properties)


def _addresses(server: LocalServer) -> JSONObject:
    return {
        "base_url": server.base_url,
        "mqtt_url": server.mqtt_url,
        "broker": server.broker,
        "auth_url": None if server.settings.auth is None else server.auth_url,
        "data_dir": str(server.data_dir),
        "workers": server.worker_count,
        "tasks": [*sorted(server.task_types)],
        "shared": [*map(str, server.settings.shared)],
    }


def _description(server: LocalServer) -> Table:
    kept = "" if server.settings.data_dir is not None else " (temporary)"
    facts = {
        "HTTP": server.base_url,
        "Auth": "" if server.settings.auth is None else server.auth_url,
        "MQTT": server.mqtt_url,
        "Broker": server.broker if server.settings.mqtt_url is None else "",
        "Workers": str(server.worker_count),
        "Tasks": ", ".join(sorted(server.task_types)),
        "Data": f"{server.data_dir}{kept}",
        "Shared": "\n".join(map(str, server.settings.shared)),
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
