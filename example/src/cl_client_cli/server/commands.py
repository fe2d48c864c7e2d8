"""The commands for a server and its users: health, workers, admin, login, doctor, discover."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from cl_client_cli.frame.options import (
    DEFAULT_CONNECTION,
    DEFAULT_OUTPUT,
    ConnectionOptions,
    Flag,
    OutputOptions,
)

admin_app = App(
    name="admin",
    help="Manage storage, cleanup and guest mode; for administrators.\n\nExample: `cl-client admin storage`",
)


def health(
    *, connection: ConnectionOptions = DEFAULT_CONNECTION, output: OutputOptions = DEFAULT_OUTPUT
) -> int:
    """Show the server's status and version.

    Example: `cl-client health --server http://nas:8002`

    Args:
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.health import show_health

    return show_health(connection, output)


def workers(
    *,
    watch: Flag = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Show the workers, the tasks that each of them serves, and whether they are busy.

    Example: `cl-client workers --watch`

    Args:
        watch: Update the table until Ctrl-C; with --json, print an object for each change.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.workers import show_workers, watch_workers

    show = watch_workers if watch else show_workers
    return show(connection, output)


@admin_app.command
def storage(
    *, connection: ConnectionOptions = DEFAULT_CONNECTION, output: OutputOptions = DEFAULT_OUTPUT
) -> int:
    """Show how many jobs the server stores, and the size of their files.

    Example: `cl-client admin storage --json`

    Args:
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.admin import show_storage

    return show_storage(connection, output)


@admin_app.command
def cleanup(
    *,
    days: int = 7,
    yes: Annotated[Flag, Parameter(alias="-y")] = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Delete old jobs of all users on the server, with their files.

    Example: `cl-client admin cleanup --days 30`

    Args:
        days: Delete jobs older than this many days; 0 for all jobs.
        yes: Delete without asking for confirmation.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.admin import clean_up

    return clean_up(days, connection, output, confirmed=yes)


@admin_app.command
def guest_mode(
    switch: Literal["on", "off"] | None = None,
    *,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Show or set guest mode, in which no login is needed.

    Example: `cl-client admin guest-mode off`

    Args:
        switch: The new state; by default the current state is shown.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.admin import guest_mode as show_or_switch

    return show_or_switch(switch, connection, output)


def login(
    username: str | None = None,
    *,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Log in at the auth service, and save the token for later commands with the same --auth-url.

    The token is sent only to the server that you log in for. To use it for another server as well, log in
    again with that --server. The password is asked for, read from standard input, or taken from
    CL_CLIENT_PASSWORD. The token is saved in the system's keyring, or in a file that only you can read; the
    password is not saved.

    Example: `cl-client login admin --auth-url http://nas:8000 --server http://nas:8002`

    Args:
        username: User name; by default the one of --user, or you are asked.
        connection: Where the auth service and the server are.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.login import log_in

    return log_in(username, connection, output)


def logout(
    *, connection: ConnectionOptions = DEFAULT_CONNECTION, output: OutputOptions = DEFAULT_OUTPUT
) -> int:
    """Log out: delete the saved token from this machine.

    Example: `cl-client logout --auth-url http://nas:8000`

    Args:
        connection: Where the auth service is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.login import log_out

    return log_out(connection, output)


def whoami(
    *, connection: ConnectionOptions = DEFAULT_CONNECTION, output: OutputOptions = DEFAULT_OUTPUT
) -> int:
    """Show the user who is logged in, and the permissions.

    Example: `cl-client whoami --auth-url http://nas:8000`

    Args:
        connection: Where the auth service is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.login import show_user

    return show_user(connection, output)


def doctor(
    *, connection: ConnectionOptions = DEFAULT_CONNECTION, output: OutputOptions = DEFAULT_OUTPUT
) -> int:
    """Check settings, server, broker, workers and login, and suggest a fix for each problem.

    Example: `cl-client doctor`

    Args:
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.doctor import run_doctor

    return run_doctor(connection, output)


def discover(
    *,
    timeout: float = 5.0,
    interface: Annotated[str | None, Parameter(show_default=False)] = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Find servers on the local network that announce themselves by mDNS.

    Example: `cl-client discover --timeout 10`

    Args:
        timeout: How many seconds to listen at most. It ends 2 s after the last server has answered.
        interface: IP address of the network interface to listen on; by default all interfaces.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.server.discover import run_discover

    return run_discover(timeout, interface, output)
