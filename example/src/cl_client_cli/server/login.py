"""The work of `cl-client login`, `logout` and `whoami`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from cl_client import AuthenticationError, Session
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.exit_codes import NOT_ALLOWED
from cl_client_cli.frame.logins import entrust, forget_servers, load_login, login_command, way_by_folder
from cl_client_cli.frame.process_start import standard_input
from cl_client_cli.frame.questions import ask
from cl_client_cli.frame.remedies import remedy_for
from cl_client_cli.frame.tables import facts_table
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.settings.settings_file import FILE_NAME

if TYPE_CHECKING:
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.settings.resolved import Settings

PASSWORD_VARIABLE: Final = "CL_CLIENT_PASSWORD"  # noqa: S105 - a name
"""Not an option: the arguments of a process can be read by every user of the machine."""


def log_in(username: str | None, connection: ConnectionOptions, output: OutputOptions) -> int:
    """Log in, and save the token.

    Args:
        username: The user name; None for the one of the settings, or to ask.
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.

    Raises:
        UsageError: There is no auth service, user name or password.
    """
    asked_at = Terminal.make(output)
    settings = load_settings(connection)
    auth_url = _auth_url(settings)
    _warn_of_folder_file(asked_at, settings)
    name = username or settings.username or _name(asked_at)
    password = _password(asked_at, f"{name} at {_without_login(auth_url)}")

    async def work(terminal: Terminal) -> int:
        session = await Session.login(auth_url, name, password, config=settings.client)
        entrust(session, settings)
        server = settings.client.base_url
        terminal.record({"username": session.username, "auth_url": session.auth_url, "server": server})
        terminal.result(f"{session.username} is logged in at {session.auth_url}, for the server {server}")
        if settings.is_default("base_url"):
            terminal.say(
                "The login is valid for the default server only. For another server, add --server URL."
            )
        return 0

    return run_guarded(output, work)


def log_out(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Log out, and delete the saved token.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        settings = load_settings(connection)
        session = await Session.load(_auth_url(settings), settings.username, config=settings.client)
        await session.logout()
        forget_servers(session)
        terminal.record({"username": session.username, "auth_url": session.auth_url})
        terminal.result(f"{session.username} is logged out at {session.auth_url}")
        return 0

    return run_guarded(output, work)


def show_user(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show the user who is logged in.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        settings = load_settings(connection)
        with remedy_for(AuthenticationError, f"To log in: {login_command(settings)}"):
            login = await load_login(settings, _auth_url(settings))
            if not login.is_for_server and way_by_folder(settings):
                terminal.error(login.doubts)  # the folder's file may redirect the auth service as well
                return NOT_ALLOWED
            user = await login.session.whoami()
        terminal.record({**user.model_dump(mode="json"), "is_for_server": login.is_for_server})
        rights = "all" if user.is_admin else ", ".join(user.permissions) or "none"
        facts = {"user": user.username, "permissions": rights, "auth service": login.session.auth_url}
        terminal.result(facts_table(facts))
        if not login.is_for_server:
            terminal.say(login.doubts)
        return 0

    return run_guarded(output, work)


def _auth_url(settings: Settings) -> str:
    if settings.auth_url is None:
        raise UsageError(
            "no auth service is configured: name it with --auth-url http://HOST:8000, or as auth_url in a "
            "settings file"
        )
    return settings.auth_url


def _without_login(url: str) -> str:
    return url.rpartition("@")[2]


def _warn_of_folder_file(terminal: Terminal, settings: Settings) -> None:
    """Name the settings of the current folder's file that decide where the password is sent."""
    decides = [name for name in ("auth_url", "base_url") if name in settings.from_folder]
    if names := [*decides, *way_by_folder(settings)]:
        terminal.say(f"Using {', '.join(names)} from the {FILE_NAME} in this folder.")


def _password(terminal: Terminal, whose: str) -> SecretStr:
    if given := os.environ.get(PASSWORD_VARIABLE):
        return SecretStr(given)
    if standard_input().isatty():
        return SecretStr(ask(terminal, f"Password of {whose}", is_secret=True))
    line = standard_input().readline().rstrip("\r\n")
    if not line:
        raise UsageError(f"no password given: pipe it into standard input, or set {PASSWORD_VARIABLE}")
    return SecretStr(line)


def _name(terminal: Terminal) -> str:
    if standard_input().isatty() and (name := ask(terminal, "User name")):
        return name
    raise UsageError("no user name given: cl-client login NAME")
