"""File names as a screen shows them: they may contain any character and be of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size
from rich.measure import Measurement
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_LEFT_OUT: Final = "…"
_SHORTEST: Final = 3
_CONTROLS: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))


def screen_name(name: str) -> str:
    """Make a name safe to print and to measure.

    Args:
        name: A file name, possibly with control characters or invalid Unicode.

    Returns:
        The name without control characters, with escapes for what is invalid Unicode.
    """
    return name.encode("utf-8", "backslashreplace").decode().translate(_CONTROLS)


class ShortenedName:
    """A name on one line, shortened in the middle if there is too little room."""

    def __init__(self, name: str) -> None:
        self._name = screen_name(name)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = cell_len(self._name)
        return Measurement(min(width, _SHORTEST), width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(_shortened(self._name, options.max_width), no_wrap=True, end="")


def _shortened(name: str, width: int) -> str:
    if cell_len(name) <= width:
        return name
    end = width // 2
    begin = max(0, width - end - len(_LEFT_OUT))
    return set_cell_size(name, begin) + _LEFT_OUT + set_cell_size(name[::-1], end)[::-1]
