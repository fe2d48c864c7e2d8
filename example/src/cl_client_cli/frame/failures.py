"""Failures of many files, which often have one reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cl_client_cli.frame.terminal import Terminal

_SHORT: Final = 40
"""Characters of a reason that may be read again and again."""


class Failures:
    """Tells failures as they come, and a long reason only once.

    Args:
        terminal: Where they are told.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._first = dict[str, str]()

    def tell(self, name: str, what: str, reason: str, note: str = "") -> None:
        """Tell one.

        Args:
            name: What failed to be processed, a file's name.
            what: What was tried, as the beginning of a sentence.
            reason: Why it failed.
            note: What is said behind the reason.
        """
        first = self._first.setdefault(reason, name)
        if first != name and len(reason) > _SHORT:
            reason = f"as for {first}"
        self._terminal.error(f"{name}: {what} failed: {reason}{note}")
