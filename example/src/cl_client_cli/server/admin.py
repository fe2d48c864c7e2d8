"""The work of `cl-client admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.filesize import decimal

from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.process_start import standard_input
from cl_client_cli.frame.questions import confirm
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.server.health import GUEST_MODE_WORDS
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from typing import Literal

    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions


def show_storage(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show how many jobs the server stores, and their size.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def show(context: CommandContext) -> int:
        usage = await context.client.admin.storage()
        context.terminal.record(usage)
        context.terminal.result(f"{counted(usage.job_count, 'job')}, {decimal(usage.total_size)}")
        return 0

    return run_with_client(connection, output, show)


def clean_up(days: int, connection: ConnectionOptions, output: OutputOptions, *, confirmed: bool) -> int:
    """Delete old jobs of all users on the server.

    Args:
        days: Delete the jobs older than this; 0 for all.
        connection: Where the server is, and which login to use.
        output: How results are printed.
        confirmed: Delete without asking.

    Returns:
        The exit code.

    Raises:
        UsageError: A confirmation is needed, and there is no terminal to ask.
    """
    if not confirmed and not _is_wanted(days, connection, output):
        Terminal.make(output).say("Nothing was deleted.")
        return SOME_FAILED

    async def delete(context: CommandContext) -> int:
        result = await context.client.admin.cleanup(days)
        context.terminal.record(result)
        deleted, freed = counted(result.deleted_count, "job"), decimal(result.freed_space)
        context.terminal.result(f"{deleted} deleted, {freed} freed")
        return 0

    return run_with_client(connection, output, delete)


def _is_wanted(days: int, connection: ConnectionOptions, output: OutputOptions) -> bool:
    server = load_settings(connection).client.base_url
    if not standard_input().isatty():
        raise UsageError("this deletes jobs of all users, and there is no terminal to confirm it: add --yes")
    which = f"the jobs older than {counted(days, 'day')}" if days else "ALL jobs"
    return confirm(Terminal.make(output), f"Delete {which} on {server}?")


def guest_mode(
    switch: Literal["on", "off"] | None, connection: ConnectionOptions, output: OutputOptions
) -> int:
    """Show or set guest mode.

    Args:
        switch: The new state; None to show the current one.
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def show(context: CommandContext) -> int:
        admin = context.client.admin
        mode = await (admin.guest_mode() if switch is None else admin.set_guest_mode(switch == "on"))
        context.terminal.record(mode)
        context.terminal.result(f"guest mode is {GUEST_MODE_WORDS[mode.enabled]}")
        return 0

    return run_with_client(connection, output, show)
