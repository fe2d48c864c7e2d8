"""The work of `cl-client workers`: a table of the workers, once or with live updates."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.table import Table
from rich.text import Text

from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.exit_codes import SERVER_UNREACHABLE
from cl_client_cli.frame.progress import WithMargin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client import WorkerCapability
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.frame.terminal import Terminal

_ANNOUNCEMENT_SECONDS: Final = 2.0
"""A broker sends retained messages right after the subscription."""
_LAST_ANNOUNCEMENT_SECONDS: Final = 0.2
_ALL_ANNOUNCEMENTS_SECONDS: Final = 10.0


def show_workers(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show the workers.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def show(context: CommandContext) -> int:
        workers = await announced_workers(context)
        if workers:
            _record(context.terminal, workers)
            context.terminal.result(_table(workers))
        else:
            await _show_capabilities(context)
        return 0

    return run_with_client(connection, output, show)


def watch_workers(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show the workers until Ctrl-C.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def watch(context: CommandContext) -> int:
        terminal = context.terminal
        if not await _is_connected(context):
            terminal.error(
                f"the broker {context.client.config.mqtt_address} cannot be reached; try without --watch"
            )
            return SERVER_UNREACHABLE
        live = (
            Live(WithMargin(_table({})), console=terminal.out)
            if terminal.out.is_interactive and not terminal.as_json
            else None
        )

        def show(workers: dict[str, WorkerCapability]) -> None:
            _record(terminal, workers)
            if live is not None:
                live.update(WithMargin(_table(workers)), refresh=True)
            else:
                terminal.result(_table(workers))

        with live or nullcontext():
            context.client.subscribe_worker_updates(show)
            show(context.client.mqtt_monitor.workers())
            await asyncio.Event().wait()
        return 0

    return run_with_client(connection, output, watch)


async def announced_workers(context: CommandContext) -> dict[str, WorkerCapability]:
    """Wait for the workers that the broker announces.

    Args:
        context: The client, settings and terminal of the command.

    Returns:
        The workers by ID; empty if no broker is connected.
    """
    if not await _is_connected(context):
        return {}
    monitor = context.client.mqtt_monitor
    known, came = {*monitor.workers()}, asyncio.Event()

    def note(workers: dict[str, WorkerCapability]) -> None:
        if not workers.keys() <= known:
            known.update(workers)
            came.set()

    subscription = context.client.subscribe_worker_updates(note)
    pause = _LAST_ANNOUNCEMENT_SECONDS if known else _ANNOUNCEMENT_SECONDS
    # Each worker has a message of its own, and repeats it: stop when no new worker arrives for a while.
    try:
        async with asyncio.timeout(_ALL_ANNOUNCEMENTS_SECONDS):
            while True:
                async with asyncio.timeout(pause):
                    await came.wait()
                came.clear()
                pause = _LAST_ANNOUNCEMENT_SECONDS
    except TimeoutError:
        return monitor.workers()
    finally:
        context.client.unsubscribe(subscription)


async def _is_connected(context: CommandContext) -> bool:
    config = context.client.config
    return config.mqtt_enabled and await context.client.mqtt_monitor.wait_connected(
        config.mqtt_connect_timeout
    )


async def _show_capabilities(context: CommandContext) -> None:
    """Without a broker, only the number of idle workers per task is known, from the server."""
    found = await context.client.get_capabilities()
    context.terminal.record(found)
    table = Table("Task", "Idle workers")
    for task, idle in sorted(found.capabilities.items()):
        table.add_row(task, str(idle))
    context.terminal.result(table if found.capabilities else "no workers")
    context.terminal.say("No workers are announced: that needs an MQTT broker; see cl-client doctor.")


def _record(terminal: Terminal, workers: Mapping[str, WorkerCapability]) -> None:
    if terminal.as_json:
        terminal.record({"workers": [worker.model_dump(mode="json") for worker in workers.values()]})


def _table(workers: Mapping[str, WorkerCapability]) -> Table:
    table = Table("Worker", "State", "Tasks")
    table.columns[0].overflow = table.columns[2].overflow = "fold"
    for name, worker in sorted(workers.items()):
        state = Text("idle", style="green") if worker.idle_count else Text("busy", style="yellow")
        table.add_row(Text(name), state, ", ".join(sorted(worker.capabilities)))
    return table
