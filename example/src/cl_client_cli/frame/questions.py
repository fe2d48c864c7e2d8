"""Questions to the user, asked before a command's loop runs: there they could not be interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from rich.prompt import Confirm, Prompt
from rich.text import Text

from cl_client_cli.frame.interruption import ending_signals
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client_cli.frame.terminal import Terminal

_AnswerT = TypeVar("_AnswerT")


def ask(terminal: Terminal, question: str, *, is_secret: bool = False) -> str:
    """Ask for a text; one that is secret is not shown while it is typed.

    Raises:
        KeyboardInterrupt: The command is to end.
        UsageError: The input has ended.
    """
    return _answer(terminal, lambda: Prompt.ask(Text(question), console=terminal.err, password=is_secret))


def confirm(terminal: Terminal, question: str) -> bool:
    """Ask whether something is wanted; see `ask`."""
    return _answer(terminal, lambda: Confirm.ask(Text(question), console=terminal.err, default=False))


def _answer(terminal: Terminal, question: Callable[[], _AnswerT]) -> _AnswerT:
    try:
        # By any such signal, since a terminal that was left at its default would stay without its echo.
        with ending_signals(_interrupt):
            return question()
    except EOFError:
        terminal.err.print()
        raise UsageError("there was no answer") from None
    except KeyboardInterrupt:
        terminal.err.print()
        raise


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt
