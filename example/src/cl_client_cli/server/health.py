"""The work of `cl-client health`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.tables import facts_table

if TYPE_CHECKING:
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions

GUEST_MODE_WORDS = {
    True: "on: no login is required",
    False: "off: a login is required",
    None: "unknown",
}


def show_health(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show the server's status and version.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def show(context: CommandContext) -> int:
        health = await context.client.health()
        context.terminal.record(health)
        facts = {
            "server": context.server,
            "service": health.service,
            "version": health.version,
            "status": health.status,
            "guest mode": GUEST_MODE_WORDS[health.guest_mode],
        }
        context.terminal.result(facts_table({name: value for name, value in facts.items() if value}))
        return 0

    return run_with_client(connection, output, show)
