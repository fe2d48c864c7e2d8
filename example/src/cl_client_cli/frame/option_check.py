"""Checks of the arguments before a command uses them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import Token, UnknownOptionError

if TYPE_CHECKING:
    from cyclopts import App, ArgumentCollection

_END_OF_OPTIONS = "--"


def refuse_unknown_options(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Reject inputs that look like an option.

    Cyclopts accepts any input that begins with ``-``, because a lone ``-`` is a valid input. After ``--``
    every word is an input.

    Args:
        _app: Unused.
        _commands: Unused.
        arguments: The arguments of the command.

    Raises:
        UnknownOptionError: An input begins with ``-``.
    """
    words = sys.argv[1:]
    literal = len(words) - words.index(_END_OF_OPTIONS) - 1 if _END_OF_OPTIONS in words else 0
    for argument in arguments:
        if argument.parameter.allow_leading_hyphen:
            inputs = [token.value for token in argument.tokens if token.keyword is None]
            for value in inputs[: max(0, len(inputs) - literal)]:
                if value.startswith("-") and value != "-":
                    token = Token(value=value, source="cli")
                    raise UnknownOptionError(token=token, argument_collection=arguments)
