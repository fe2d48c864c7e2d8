"""The frame that every command runs in: settings, a client, and one place that maps errors to exit codes."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from typing_extensions import override

from cl_client import MQTT_OFF
from cl_client.exceptions import (
    AuthenticationError,
    ComputeClientError,
    ConfigurationError,
    HTTPError,
    InvalidParameterError,
    PermissionDeniedError,
    ServerUnavailableError,
    UnknownTaskError,
)
from cl_client_cli.frame import exit_codes
from cl_client_cli.frame.interruption import run_interruptible
from cl_client_cli.frame.outages import is_away
from cl_client_cli.frame.remedies import remedies_of, remedy_for
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.settings.resolved import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
    from pathlib import Path

    from cl_client import AuthProvider, ComputeClient
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.settings.resolved import Settings

_LOCAL_HELPS: Final = (
    "Add --local to run this on a temporary local server, or name your server with --server http://HOST:8002"
)
_NAME_YOURS: Final = (
    "Name your server with --server http://HOST:8002; cl-client discover finds servers on the local network"
)
_LOG_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)


class NoServerError(ComputeClientError):
    """No server is configured, and no server responds at the default address."""

    def __init__(self, address: str, remedy: str) -> None:
        super().__init__(f"no server is configured, and none responds at {address}.\n{remedy}")


class _TerminalHandler(logging.Handler):
    """Prints log records above the progress bars."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        self._terminal = terminal

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._terminal.log(self.format(record), is_bad=record.levelno >= logging.WARNING)


class _End(NamedTuple):
    error: type[Exception]
    code: int
    words: str = "{}"


_ENDS: Final = (
    _End(NoServerError, exit_codes.SERVER_UNREACHABLE),
    _End(ServerUnavailableError, exit_codes.SERVER_UNREACHABLE, "the server cannot be reached: {}"),
    _End(AuthenticationError, exit_codes.NOT_ALLOWED),
    _End(PermissionDeniedError, exit_codes.NOT_ALLOWED),
    _End(UsageError, exit_codes.WRONG_USE),
    _End(ConfigurationError, exit_codes.WRONG_USE),
    _End(InvalidParameterError, exit_codes.WRONG_USE),
    _End(UnknownTaskError, exit_codes.WRONG_USE),
    _End(Exception, exit_codes.SOME_FAILED),
)
"""The exit code and message for each error that ends a command, the most specific first."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command works with.

    Attributes:
        client: The open client.
        settings: The settings of the command.
        terminal: Where the command prints.
        server: The URL of the compute service.
    """

    client: ComputeClient
    settings: Settings
    terminal: Terminal
    server: str


def run_with_client(
    connection: ConnectionOptions,
    output: OutputOptions,
    work: Callable[[CommandContext], Awaitable[int]],
    *,
    resume_hint: str = "",
    brings_work: bool = False,
    inputs: Callable[[], Iterable[Path]] = tuple,
) -> int:
    """Run a command that talks to a server.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.
        work: The command itself. It returns the exit code.
        resume_hint: What to print after "interrupted."; empty for nothing.
        brings_work: Whether the command also works on a new, empty local server (``--local``).
        inputs: Returns the files that such a server reads in place.

    Returns:
        The exit code.
    """

    async def with_client(terminal: Terminal) -> int:
        async with open_context(connection, terminal, brings_work=brings_work, inputs=inputs) as context:
            return await work(context)

    return run_guarded(output, with_client, resume_hint=resume_hint)


def run_guarded(
    output: OutputOptions,
    work: Callable[[Terminal], Coroutine[object, object, int]],
    *,
    resume_hint: str = "",
    stopped_words: str | None = None,
) -> int:
    """Run a command, and turn any error that ends it into a message and an exit code.

    Args:
        output: How results are printed.
        work: The command itself. It returns the exit code.
        resume_hint: What to print after "interrupted."; empty for nothing.
        stopped_words: For a command that normally ends with Ctrl-C: the message to print then, with exit code
            0.

    Returns:
        The exit code.
    """
    terminal = Terminal.make(output)
    _log_to(terminal, output.verbose)
    try:
        return run_interruptible(work(terminal), partial(_say_slow_end, terminal, stopped_words))
    except KeyboardInterrupt:
        if stopped_words is not None:
            terminal.say(stopped_words)
            return 0
        terminal.error(f"interrupted. {resume_hint}".rstrip())
        return exit_codes.INTERRUPTED
    except (ComputeClientError, UsageError, OSError, sqlite3.Error) as exc:
        code, words = how_it_ends(exc)
        terminal.error(words)
        return code


def _say_slow_end(terminal: Terminal, stopped_words: str | None) -> None:
    if stopped_words is None:  # otherwise Ctrl-C is the normal end, and no work is lost
        terminal.say("Finishing requests in progress; press Ctrl-C again to stop immediately ...")


def how_it_ends(error: Exception) -> tuple[int, str]:
    """Map an error that ends a command to an exit code and a message.

    Args:
        error: The error.

    Returns:
        The exit code, and the message with the remedies.
    """
    kind = ServerUnavailableError if is_away(error) else type(error)
    end = next(end for end in _ENDS if issubclass(kind, end.error))
    return end.code, "\n".join((end.words.format(error), *remedies_of(error)))


def _log_to(terminal: Terminal, verbosity: int) -> None:
    """Print the library's log through the console that also draws the progress bars."""
    level = logging.ERROR if terminal.quiet else _LOG_LEVELS[min(verbosity, len(_LOG_LEVELS) - 1)]
    logging.basicConfig(level=logging.WARNING, handlers=[_TerminalHandler(terminal)], force=True)
    logging.getLogger("cl_client").setLevel(level)


@asynccontextmanager
async def open_context(
    connection: ConnectionOptions,
    terminal: Terminal,
    *,
    brings_work: bool = False,
    inputs: Callable[[], Iterable[Path]] = tuple,
) -> AsyncGenerator[CommandContext]:
    """Open what a command works with; see `run_with_client`.

    Args:
        connection: Where the server is, and which login to use.
        terminal: Where messages are printed.
        brings_work: Whether the command also works on a new local server (``--local``).
        inputs: Returns the files that such a server reads in place.

    Yields:
        The context; its client is closed afterwards.

    Raises:
        NoServerError: No server is configured, and none responds at the default address.
        ConfigurationError: A setting is invalid.
        UsageError: A flag is invalid.
    """
    settings = load_settings(connection, takes_local=brings_work)
    if connection.local and connection.server is not None:
        raise UsageError("--local and --server cannot be combined: give only one of them")
    async with AsyncExitStack() as stack:
        if connection.local:
            from cl_client_cli.frame.own_server import folders_of, own_server

            shared = await asyncio.to_thread(folders_of, [*inputs()])
            client = (await stack.enter_async_context(own_server(terminal, shared=shared))).client
        else:
            client = await _remote_client(stack, settings, _LOCAL_HELPS if brings_work else _NAME_YOURS)
        yield CommandContext(client, settings, terminal, client.config.base_url)


async def _remote_client(stack: AsyncExitStack, settings: Settings, remedy: str) -> ComputeClient:
    from cl_client import ComputeClient

    if settings.is_default("base_url"):
        await _look_for_server(settings, remedy)
    provider, remedy = await _auth_provider(settings)
    # A user who is logged in needs no hint to log in after "forbidden".
    refusals = (AuthenticationError,) if provider else (AuthenticationError, PermissionDeniedError)
    stack.enter_context(remedy_for(refusals, remedy))
    return await stack.enter_async_context(ComputeClient(config=settings.client, auth_provider=provider))


async def _auth_provider(settings: Settings) -> tuple[AuthProvider | None, str]:
    """The saved login for the server, and the remedy to show if the server requires another one."""
    from cl_client_cli.frame.logins import load_login, login_remedy

    remedy = login_remedy(settings)
    if settings.auth_url is None:
        return None, remedy
    try:
        login = await load_login(settings, settings.auth_url)
    except AuthenticationError:
        return None, remedy  # a server in guest mode needs no login; any other server answers 401
    return (login.session.auth_provider, remedy) if login.is_for_server else (None, login.doubts)


async def _look_for_server(settings: Settings, remedy: str) -> None:
    """Check whether any server responds at the default address."""
    from cl_client import ComputeClient

    config = settings.client.replace(max_retries=0, mqtt_broker=MQTT_OFF)
    async with ComputeClient(config=config) as client:
        try:
            await client.health()
        except ServerUnavailableError:
            raise NoServerError(config.base_url, remedy) from None
        except HTTPError:
            return  # a server responds; the command itself will meet the same error
