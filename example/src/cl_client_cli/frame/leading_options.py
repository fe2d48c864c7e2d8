"""The options of `SharedOptions` given before the command.

The command receives them like defaults from a Cyclopts settings file: the same option after the command
takes precedence.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, NamedTuple

from cyclopts import App, CycloptsError, Token

from cl_client_cli.frame.options import DEFAULT_SHARED, SharedOptions
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Argument, ArgumentCollection

ENDING_OPTIONS: Final = ("--help", "-h", "--version", "--install-completion")
"""Options that run instead of a command."""


class LeadingOption(NamedTuple):
    """An option before the command: its name as given, and its value; None for a flag."""

    name: str
    value: str | None


def list_shared_options(app: App) -> None:
    """List the shared options in an application's help and completion.

    Args:
        app: The application.
    """
    app.meta.default(_shared)


def split_leading_options(words: Sequence[str]) -> tuple[list[LeadingOption], list[str]]:
    """Split the arguments of the process into the options before the command and the rest.

    Args:
        words: The arguments, without the program's name.

    Returns:
        The options before the command, and the words from the command on.

    Raises:
        UsageError: An option is unknown or has no value, or there is no command.
    """
    options: list[LeadingOption] = []
    rest = [*words]
    takes_value: dict[str, bool] = {}
    while rest and rest[0].startswith("-") and rest[0] not in ENDING_OPTIONS:
        takes_value = takes_value or _shared_names()
        word = rest.pop(0)
        if word.startswith("--"):
            name, is_assigned, value = word.partition("=")
            options.append(_option(name, value if is_assigned else None, rest, takes_value))
            continue
        letters = word.removeprefix("-")
        while letters or word == "-":
            name, letters = f"-{letters[:1]}", letters[1:]
            value = letters.removeprefix("=") if letters and takes_value.get(name) else None
            letters = letters if value is None else ""
            options.append(_option(name, value, rest, takes_value))
    if options and not rest:
        raise UsageError(f"{options[0].name}: no command given after it; see cl-client --help")
    return options, rest


class LeadingOptions:
    """Passes the options before the command to the command.

    Args:
        options: The options.
    """

    def __init__(self, options: Sequence[LeadingOption]) -> None:
        self._options = options

    def __call__(self, _app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Add them to a command's arguments; options after the command take precedence.

        Raises:
            CycloptsError: The command does not have such an option.
        """
        named = {name: argument for argument in arguments for name in argument.names}
        unknown = [option.name for option in self._options if option.name not in named]
        if unknown:
            command = " ".join(("cl-client", *commands))
            raise CycloptsError(msg=f"{unknown[0]}: {command} has no such option; see {command} --help")
        behind = {name for name, argument in named.items() if argument.has_tokens}
        for option in self._options:
            if option.name not in behind:
                named[option.name].append(_token(option, named[option.name]))


def _shared(*, options: SharedOptions = DEFAULT_SHARED) -> None:
    """Options that the first help page lists.

    Args:
        options: The options that can be given before the command.
    """


def _shared_names() -> dict[str, bool]:
    """The names of the shared options, and whether each takes a value."""
    app = App(help_flags=(), version_flags=())
    app.default(_shared)
    arguments = [argument for argument in app.assemble_argument_collection() if not argument.children]
    return {name: _takes_value(argument) for argument in arguments for name in argument.names}


def _takes_value(argument: Argument) -> bool:
    return argument.token_count()[0] > 0


def _option(name: str, value: str | None, rest: list[str], takes_value: dict[str, bool]) -> LeadingOption:
    """An option with its value, which is the next word unless the option's own word contains it."""
    if name not in takes_value:
        similar = difflib.get_close_matches(name, takes_value, 1) if name.startswith("--") else []
        hint = (
            f"did you mean {similar[0]}?"
            if similar
            else "if it is an option of the command, give it after the command"
        )
        raise UsageError(f"{name}: unknown option before the command; {hint}")
    if not takes_value[name]:
        if value is not None:
            raise UsageError(f"{name}={value}: {name} takes no value; remove ={value}")
        return LeadingOption(name, None)
    if value is None:
        if not rest or rest[0].startswith("--"):
            raise UsageError(f"{name}: a value is required after it")
        value = rest.pop(0)
    return LeadingOption(name, value)


def _token(option: LeadingOption, argument: Argument) -> Token:
    if option.value is not None:
        return Token(keyword=option.name, value=option.value, source="cli")
    return Token(keyword=option.name, implicit_value=1 if argument.parameter.count else True, source="cli")
