"""The work of `cl-client health`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.tables import facts_table

if TYPE_CHECKING:
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions

GUEST_MODE_WORDS = {
    True: "on: everybody may do everything",
    False: "off: a login is needed",
    None: "not said",
}


def show_health(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show the server's health; the process's exit code."""

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
