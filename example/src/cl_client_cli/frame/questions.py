"""Questions to the user, asked before the event loop runs: inside it they could not be interrupted."""

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
    """Ask for a text.

    Args:
        terminal: Where to ask.
        question: The question.
        is_secret: Whether to hide what is typed.

    Returns:
        The answer.

    Raises:
        KeyboardInterrupt: The user ended the command.
        UsageError: Standard input ended without an answer.
    """
    return _answer(terminal, lambda: Prompt.ask(Text(question), console=terminal.err, password=is_secret))


def confirm(terminal: Terminal, question: str) -> bool:
    """Ask a yes/no question; the default is no. See `ask`.

    Args:
        terminal: Where to ask.
        question: The question.

    Returns:
        Whether the answer is yes.
    """
    return _answer(terminal, lambda: Confirm.ask(Text(question), console=terminal.err, default=False))


def _answer(terminal: Terminal, question: Callable[[], _AnswerT]) -> _AnswerT:
    try:
        # Handle every ending signal: a process that just dies here leaves the terminal without echo.
        with ending_signals(_interrupt):
            return question()
    except EOFError:
        terminal.err.print()
        raise UsageError("no answer: standard input has ended") from None
    except KeyboardInterrupt:
        terminal.err.print()
        raise


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt
