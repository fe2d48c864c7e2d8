"""`cl-client doctor`: checks what can be wrong, and suggests fixes. It works even if nothing else does."""

from __future__ import annotations

import shutil
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from cl_client import ComputeClient, ComputeClientError
from cl_client.exceptions import AuthenticationError, ServerUnavailableError
from cl_client_cli.frame.command_frame import CommandContext, run_guarded
from cl_client_cli.frame.exit_codes import SERVER_UNREACHABLE, SOME_FAILED
from cl_client_cli.frame.logins import load_login, login_command
from cl_client_cli.frame.user_folders import data_folder
from cl_client_cli.server.findings import Finding
from cl_client_cli.server.health import GUEST_MODE_WORDS
from cl_client_cli.server.round_trip import round_trip_finding
from cl_client_cli.server.workers import announced_workers
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.settings.settings_file import searched_files
from cl_client_cli.tasks.table import TASKS, counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from cl_client import AuthProvider
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.settings.resolved import Settings

_LITTLE_DISK: Final = 1_000_000_000

_WIDTHS: Final = (len("warning"), len("round trip"), None)
_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "red"}


def run_doctor(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Check settings, server, broker, workers and login.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        problems: set[str] = set()
        async for finding in _findings(connection, terminal):
            terminal.record(finding)
            terminal.result(_row(finding))
            if finding.state == "problem":
                problems.add(finding.check)
        if not problems:
            return 0
        return SERVER_UNREACHABLE if "server" in problems else SOME_FAILED

    return run_guarded(output, work)


def _row(finding: Finding) -> Table:
    """One line, aligned with the lines before it; it is printed as soon as it is known."""
    table = Table.grid(padding=(0, 2))
    for width in _WIDTHS:
        table.add_column(width=width)
    message = Text(finding.message, overflow="fold")
    if finding.remedy is not None:
        message.append(f"\n{finding.remedy}", style="bold")
    table.add_row(Text(finding.state, style=_STYLES[finding.state]), Text(finding.check), message)
    return table


async def _findings(connection: ConnectionOptions, terminal: Terminal) -> AsyncIterator[Finding]:
    settings = load_settings(connection)
    yield _settings_finding(connection, settings)
    yield _disk_finding()
    async with AsyncExitStack() as stack:
        provider = None
        if settings.auth_url is not None:
            provider, finding = await _login_finding(settings, settings.auth_url)
            yield finding
        config = settings.client.replace(max_retries=0)
        client = ComputeClient(config=config, auth_provider=provider)
        context = CommandContext(
            await stack.enter_async_context(client), settings, terminal, settings.client.base_url
        )
        server = await _server_finding(context)
        yield server
        yield await _broker_finding(context)
        if server.state != "problem":
            workers, served = await _workers_finding(context)
            yield workers
            if served:
                pushed = config.mqtt_enabled and context.client.mqtt_monitor.is_connected
                yield await round_trip_finding(config, provider, served, pushed=pushed)
    yield _local_finding()


def _settings_finding(connection: ConnectionOptions, settings: Settings) -> Finding:
    files = [str(path) for path in searched_files(connection.config) if path.is_file()]
    message = f"from {', '.join(files)}" if files else "no settings file"
    if settings.is_default("base_url"):
        return Finding(
            check="settings",
            state="warning",
            message=f"{message}; no server is configured, using the default {settings.client.base_url}",
            remedy="to find servers: cl-client discover; to save one: cl-client config init --server URL",
        )
    return Finding(
        check="settings", state="ok", message=f"{message}; the server is {settings.client.base_url}"
    )


def _disk_finding() -> Finding:
    folder = data_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    enough = free >= _LITTLE_DISK
    return Finding(
        check="disk",
        state="ok" if enough else "warning",
        message=f"{decimal(free)} free in {folder}",
        remedy=None if enough else "free some space before running large batches",
    )


async def _login_finding(settings: Settings, auth_url: str) -> tuple[AuthProvider | None, Finding]:
    """The result for the login, and the auth provider if the login may be sent to the server."""
    try:
        login = await load_login(settings, auth_url)
        if not login.is_for_server:
            return None, Finding(check="login", state="warning", message=login.doubts)
        user = await login.session.whoami()
    except AuthenticationError as exc:
        remedy = login_command(settings)
        return None, Finding(check="login", state="warning", message=str(exc), remedy=remedy)
    except ComputeClientError as exc:
        return None, Finding(check="login", state="problem", message=str(exc), remedy="check --auth-url")
    message = f"{user.username} at {login.session.auth_url}"
    return login.session.auth_provider, Finding(check="login", state="ok", message=message)


async def _server_finding(context: CommandContext) -> Finding:
    begun = time.perf_counter()
    try:
        health = await context.client.health()
    except ServerUnavailableError as exc:
        remedy = "start it, or name yours with --server http://HOST:8002, or run commands with --local"
        return Finding(check="server", state="problem", message=str(exc), remedy=remedy)
    except ComputeClientError as exc:
        return Finding(check="server", state="problem", message=str(exc), remedy="is this a compute service?")
    spent = (time.perf_counter() - begun) * 1000
    name = f"{health.service} {health.version}".strip() or "a server"
    guest_mode = GUEST_MODE_WORDS[health.guest_mode]
    message = f"{name} at {context.server}, answers in {spent:.0f} ms; guest mode {guest_mode}"
    return Finding(check="server", state="ok", message=message)


async def _broker_finding(context: CommandContext) -> Finding:
    config = context.client.config
    broker = config.mqtt_address
    if broker is None:
        return Finding(check="broker", state="warning", message="switched off: jobs are followed by polling")
    if not await context.client.mqtt_monitor.wait_connected(config.mqtt_connect_timeout):
        return Finding(
            check="broker",
            state="warning",
            message=f"{broker} cannot be reached: jobs are followed by polling, which is slower",
            remedy="name the broker with --mqtt mqtt://HOST:1883, or switch it off with --mqtt off",
        )
    workers = await announced_workers(context)
    message = f"connected to {broker}, which announces {counted(len(workers), 'worker')}"
    if workers:
        return Finding(check="broker", state="ok", message=message)
    return Finding(
        check="broker", state="warning", message=message, remedy="is it the broker of this server?"
    )


async def _workers_finding(context: CommandContext) -> tuple[Finding, Collection[str]]:
    """The result for the workers, and the tasks that they serve."""
    try:
        found = (await context.client.get_capabilities()).capabilities
    except ComputeClientError as exc:
        remedy = "if a login is required: cl-client login"
        return Finding(check="workers", state="problem", message=str(exc), remedy=remedy), ()
    served = found or context.client.mqtt_monitor.served()
    missing = sorted(TASKS.keys() - served.keys())
    if not served:
        message, remedy = "no workers are running", "start a worker on the server"
        return Finding(check="workers", state="problem", message=message, remedy=remedy), ()
    if missing:
        message = f"no worker serves {', '.join(missing)}"
        remedy = "their models may be missing on the server; for a local server: cl-client models pull"
        return Finding(check="workers", state="warning", message=message, remedy=remedy), served
    return Finding(check="workers", state="ok", message="all tasks are served"), served


def _local_finding() -> Finding:
    from cl_client.local import MODELS, users_models

    store = users_models(None)
    missing = [name for name in MODELS if store.find(name) is None]
    if missing:
        return Finding(
            check="--local",
            state="warning",
            message=f"works, without the model{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            remedy=f"to download {'them' if len(missing) > 1 else 'it'}: cl-client models pull",
        )
    return Finding(check="--local", state="ok", message="works, with all models")
