"""The work of `cl-client discover`."""

from __future__ import annotations

import math
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.server.announcements import find_servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client_cli.frame.options import OutputOptions
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.server.announcements import DiscoveredServer

_SHORT_SECONDS: Final = 3.0


def run_discover(seconds: float, interface: str | None, output: OutputOptions) -> int:
    """Show the servers that announce themselves.

    Args:
        seconds: How long to listen at most.
        interface: The IP address of the network interface; None for all.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        _check(seconds, interface)
        with terminal.announced("Listening ..."):
            servers = await find_servers(seconds, interface)
        for server in servers:
            terminal.record(server)
        if not servers:
            terminal.say(_nothing_found(seconds))
            return SOME_FAILED
        terminal.result(servers_table(servers))
        terminal.say(f"To use it: cl-client health --server {servers[0].compute_url}")
        return 0

    return run_guarded(output, work)


def _nothing_found(seconds: float) -> str:
    message = (
        f"No server found within {seconds:g} s. Older servers do not announce themselves, and some networks "
        "block mDNS: name your server with --server http://HOST:8002"
    )
    if seconds < _SHORT_SECONDS:
        return f"{message}. A server that has just started may take 2 s to answer: try --timeout 5"
    return message


def _check(seconds: float, interface: str | None) -> None:
    if not 0 < seconds < math.inf:
        raise UsageError(f"--timeout {seconds:g}: must be above 0 seconds")
    if interface is not None:
        try:
            ip_address(interface)
        except ValueError:
            raise UsageError(f"--interface {interface}: must be an IP address of this machine") from None


def servers_table(servers: Sequence[DiscoveredServer]) -> Table:
    """A table of servers, with one URL on each line: side by side they would be too long for most screens.

    Args:
        servers: The servers.

    Returns:
        The table.
    """
    table = Table("Name", "Compute, broker, auth", "State")
    for column in table.columns:
        column.overflow = "fold"
    table.columns[1].no_wrap = True
    for it in servers:
        addresses = "\n".join(filter(None, (it.compute_url, it.mqtt_url, it.auth_url)))
        state = Text("healthy", style="green") if it.error is None else Text(it.error, style="red")
        table.add_row(Text(it.name), Text(addresses), state)
    return table
