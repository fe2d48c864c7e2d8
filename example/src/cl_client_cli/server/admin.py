"""The work of `cl-client admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.prompt import Confirm
from rich.text import Text

from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.process_start import standard_input
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.server.health import GUEST_MODE_WORDS
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from typing import Literal

    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions


def show_storage(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show what the server keeps; the process's exit code."""

    async def show(context: CommandContext) -> int:
        usage = await context.client.admin.storage()
        context.terminal.record(usage)
        context.terminal.result(f"{counted(usage.job_count, 'job')}, {decimal(usage.total_size)}")
        return 0

    return run_with_client(connection, output, show)


def clean_up(days: int, connection: ConnectionOptions, output: OutputOptions, *, confirmed: bool) -> int:
    """Delete old jobs at the server; the process's exit code."""

    async def delete(context: CommandContext) -> int:
        if not confirmed and not _is_wanted(context, days):
            context.terminal.say("Nothing was deleted.")
            return SOME_FAILED
        result = await context.client.admin.cleanup(days)
        context.terminal.record(result)
        deleted = counted(result.deleted_count, "job")
        context.terminal.result(f"{deleted} deleted, {decimal(result.freed_space)} freed")
        return 0

    return run_with_client(connection, output, delete)


def _is_wanted(context: CommandContext, days: int) -> bool:
    if not standard_input().isatty():
        raise UsageError("this deletes jobs of all users, and there is no terminal to ask: add --yes")
    which = f"the jobs older than {counted(days, 'day')}" if days else "ALL jobs"
    return Confirm.ask(
        Text(f"Delete {which} at {context.server}?"), console=context.terminal.err, default=False
    )


def guest_mode(
    switch: Literal["on", "off"] | None, connection: ConnectionOptions, output: OutputOptions
) -> int:
    """Show or switch the guest mode; the process's exit code."""

    async def show(context: CommandContext) -> int:
        admin = context.client.admin
        mode = await (admin.guest_mode() if switch is None else admin.set_guest_mode(switch == "on"))
        context.terminal.record(mode)
        context.terminal.result(f"guest mode is {GUEST_MODE_WORDS[mode.enabled]}")
        return 0

    return run_with_client(connection, output, show)
