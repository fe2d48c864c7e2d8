"""The work of `cl-client login`, `logout` and `whoami`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr
from rich.prompt import Prompt
from rich.text import Text

from cl_client import Session
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.process_start import standard_input
from cl_client_cli.frame.tables import facts_table
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.settings.resolved import load_settings

if TYPE_CHECKING:
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.settings.resolved import Settings

PASSWORD_VARIABLE: Final = "CL_CLIENT_PASSWORD"  # noqa: S105 - a name
"""Not an option: the arguments of a process can be read by every user of the machine."""


def log_in(username: str | None, connection: ConnectionOptions, output: OutputOptions) -> int:
    """Log in; the process's exit code."""

    async def work(terminal: Terminal) -> int:
        settings = load_settings(connection)
        auth_url = _auth_url(settings)
        name = username or settings.username or _ask(terminal, "User name")
        session = await Session.login(auth_url, name, _password(terminal, name), config=settings.client)
        terminal.record({"username": session.username, "auth_url": session.auth_url})
        terminal.result(f"{session.username} is logged in at {session.auth_url}")
        return 0

    return run_guarded(output, work)


def log_out(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Log out; the process's exit code."""

    async def work(terminal: Terminal) -> int:
        session = await _session(load_settings(connection))
        await session.logout()
        terminal.record({"username": session.username, "auth_url": session.auth_url})
        terminal.result(f"{session.username} is logged out at {session.auth_url}")
        return 0

    return run_guarded(output, work)


def show_user(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show who is logged in; the process's exit code."""

    async def work(terminal: Terminal) -> int:
        session = await _session(load_settings(connection))
        user = await session.whoami()
        terminal.record(user)
        rights = "everything" if user.is_admin else ", ".join(user.permissions) or "nothing"
        terminal.result(facts_table({"user": user.username, "may do": rights, "at": session.auth_url}))
        return 0

    return run_guarded(output, work)


async def _session(settings: Settings) -> Session:
    return await Session.load(_auth_url(settings), settings.username, config=settings.client)


def _auth_url(settings: Settings) -> str:
    if settings.auth_url is None:
        raise UsageError(
            "which auth service? Name it with --auth-url http://HOST:8000, or as auth_url in the settings"
        )
    return settings.auth_url


def _password(terminal: Terminal, username: str) -> SecretStr:
    if given := os.environ.get(PASSWORD_VARIABLE):
        return SecretStr(given)
    if standard_input().isatty():
        return SecretStr(Prompt.ask(Text(f"Password of {username}"), password=True, console=terminal.err))
    line = standard_input().readline().rstrip("\r\n")
    if not line:
        raise UsageError(f"there is no password: pipe it into standard input, or set {PASSWORD_VARIABLE}")
    return SecretStr(line)


def _ask(terminal: Terminal, what: str) -> str:
    if not standard_input().isatty():
        raise UsageError("who? Name the user: cl-client login NAME")
    return Prompt.ask(what, console=terminal.err)
