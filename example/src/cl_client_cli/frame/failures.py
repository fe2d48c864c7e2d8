"""Failures of many files, which often have the same reason."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cl_client_cli.frame.terminal import Terminal

_SHORT: Final = 40
"""A reason of at most so many characters is printed in full each time."""


class Failures:
    """Prints failures as they happen, and a long reason only once.

    Args:
        terminal: Where to print them.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._first = dict[str, str]()

    def tell(self, name: str, what: str, reason: str, note: str = "") -> None:
        """Print a failure.

        Args:
            name: The name of the file that failed.
            what: What was tried, as the beginning of a sentence.
            reason: Why it failed; may begin with the file's name.
            note: What to print after the reason.
        """
        reason = without_name(reason, name)
        first = self._first.setdefault(reason, name)
        if first != name and len(reason) > _SHORT:
            reason = f"same reason as {first}"
        self._terminal.error(f"{name}: {what} failed: {reason}{note}")


def without_name(reason: str, name: str) -> str:
    """Leave out the name of the file, with which errors of a server may begin.

    Args:
        reason: Why the file failed.
        name: Its name or path.

    Returns:
        The reason, which is the same for files that failed in the same way.
    """
    return reason.removeprefix(f"{PurePath(name).name}: ")
