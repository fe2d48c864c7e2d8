"""The terminal that commands print to: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from pydantic import BaseModel
from rich.console import Console
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Self

    from rich.console import ConsoleOptions, RenderableType

    from cl_client import JSONObject
    from cl_client_cli.frame.options import OutputOptions

_PIPED_WIDTH = 100_000
"""The width for pipes: programs read lines of any length, so nothing is cut or wrapped."""
_WITHOUT_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""File names, metadata and server messages may contain control characters that a terminal would execute."""
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)} | {
    code: f"\\\\u{code:04x}" for code in range(0xD800, 0xE000)
}
"""JSON escapes other control characters itself. Invalid Unicode in a file name is printed as a terminal shows
it, because JSON parsers reject the escape of a lone surrogate."""


class _SafeConsole(Console):
    """A console that removes control characters from all text.

    If the reader of a pipe exits, the work continues without output.
    """

    @override
    def on_broken_pipe(self) -> None:
        with suppress(SystemExit):
            super().on_broken_pipe()

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(segment.text.translate(_WITHOUT_CONTROLS), segment.style)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command prints.

    Attributes:
        out: Standard output, for results.
        err: Standard error, for progress, hints and errors.
        as_json: Print results as JSON, one object per line.
        quiet: Print only results and errors.
    """

    out: Console
    err: Console
    as_json: bool = False
    quiet: bool = False

    @classmethod
    def make(cls, output: OutputOptions | None = None) -> Self:
        """The terminal of the process.

        Args:
            output: How results are printed; None for the defaults.

        Returns:
            The terminal.
        """
        as_json, quiet = (output.json, output.quiet) if output is not None else (False, False)
        return cls(_console(sys.stdout), _console(sys.stderr), as_json, quiet)

    @property
    def is_live(self) -> bool:
        """Whether progress bars can be drawn, and are wanted."""
        return self.err.is_interactive and not self.quiet

    def result(self, *parts: RenderableType) -> None:
        """Print a result for people; with ``--json`` nothing.

        Args:
            parts: Texts or tables.
        """
        if not self.as_json:
            for part in parts:
                self._screen.print(part, soft_wrap=isinstance(part, str | Text))

    def record(self, value: BaseModel | JSONObject) -> None:
        """Print a result for programs as one line of JSON; without ``--json`` nothing.

        Args:
            value: The result.
        """
        if self.as_json:
            content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            line = json.dumps(content, ensure_ascii=False, separators=(",", ":")).translate(_JSON_ESCAPES)
            if self._screen is self.out:
                # Written directly: a console would wrap and colour it.
                try:
                    self.out.file.write(line + "\n")
                    self.out.file.flush()
                except BrokenPipeError:
                    self.out.on_broken_pipe()
            else:
                self._screen.print(Text(line), soft_wrap=True)

    def content(self, file: Path) -> None:
        """Write a file's content to standard output; a reader that exits early is no error.

        Args:
            file: The file.
        """
        try:
            with file.open("rb") as content:
                shutil.copyfileobj(content, sys.stdout.buffer)
            sys.stdout.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()

    @property
    def _screen(self) -> Console:
        """Where results go: the console that draws the progress if both share a screen."""
        return self.err if self.is_live and self.out.is_terminal else self.out

    def say(self, text: str) -> None:
        """Print a message that is not a result, such as a summary or a hint; with ``--quiet`` nothing.

        Args:
            text: The message.
        """
        if not self.quiet:
            _print_words(self.err, Text(text))

    def warn(self, text: str) -> None:
        """Print a warning; with ``--quiet`` nothing.

        Args:
            text: The warning.
        """
        if not self.quiet:
            _print_words(self.err, Text(f"warning: {text}", style="yellow"))

    def log(self, text: str, *, is_bad: bool) -> None:
        """Print a log record, whatever ``--quiet`` says; the log level decides which ones get here.

        Args:
            text: The formatted record.
            is_bad: Whether it is a warning or an error.
        """
        _print_words(self.err, Text(text, style="yellow" if is_bad else "dim"))

    def announced(self, text: str) -> AbstractContextManager[object]:
        """Show a text while the context is open; nothing is printed to a pipe.

        Args:
            text: What takes a moment.

        Returns:
            The context.
        """
        return self.err.status(Text(text)) if self.is_live else nullcontext()

    def error(self, text: str) -> None:
        """Print an error message.

        Args:
            text: The message.
        """
        _print_words(self.err, Text(f"cl-client: {text}", style="red"))


def _print_words(console: Console, text: Text) -> None:
    """Print text: a terminal wraps lines between words, a pipe gets them whole."""
    console.print(text, overflow="fold" if console.is_terminal else None, soft_wrap=not console.is_terminal)


def _console(stream: TextIO) -> Console:
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    width = _PIPED_WIDTH if piped else None
    return _SafeConsole(file=stream, width=width, markup=False, emoji=False, highlight=False)
