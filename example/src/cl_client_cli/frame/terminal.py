"""The terminal that the commands talk to: results on standard output, all else on standard error."""

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
"""Programs read lines of any length, and nothing is to be cut or folded for them."""
_WITHOUT_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""Names, metadata and a server's words may hold any control character, and a terminal would obey them."""
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)} | {
    code: f"\\\\u{code:04x}" for code in range(0xD800, 0xE000)
}
"""JSON escapes other control characters itself. What is no Unicode in a file's name is shown as a terminal
shows it, since readers of JSON refuse it as an escape."""


class _SafeConsole(Console):
    """A console that no text can take control of.

    Its reader may leave: the work goes on to its end, without output.
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
    """Where a command's words go.

    Attributes:
        out: Standard output, for results.
        err: Standard error, for progress, hints and errors.
        as_json: Results are JSON, one object per line.
        quiet: Only results and errors are told.
    """

    out: Console
    err: Console
    as_json: bool = False
    quiet: bool = False

    @classmethod
    def make(cls, output: OutputOptions | None = None) -> Self:
        """The process's terminal, told of things as the options say."""
        as_json, quiet = (output.json, output.quiet) if output is not None else (False, False)
        return cls(_console(sys.stdout), _console(sys.stderr), as_json, quiet)

    @property
    def is_live(self) -> bool:
        """Whether progress can be drawn, and is wanted."""
        return self.err.is_interactive and not self.quiet

    def result(self, *parts: RenderableType) -> None:
        """Tell people a result."""
        if not self.as_json:
            for part in parts:
                self._screen.print(part, soft_wrap=isinstance(part, str | Text))

    def record(self, value: BaseModel | JSONObject) -> None:
        """Tell programs a result: one JSON object on a line of its own."""
        if self.as_json:
            content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            line = json.dumps(content, ensure_ascii=False, separators=(",", ":")).translate(_JSON_ESCAPES)
            if self._screen is self.out:
                # Straight to the file: a console would wrap, and colour.
                try:
                    self.out.file.write(line + "\n")
                    self.out.file.flush()
                except BrokenPipeError:
                    self.out.on_broken_pipe()
            else:
                self._screen.print(Text(line), soft_wrap=True)

    def content(self, file: Path) -> None:
        """Give programs a file's content; where they leave before its end, that is their choice."""
        try:
            with file.open("rb") as content:
                shutil.copyfileobj(content, sys.stdout.buffer)
            sys.stdout.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()

    @property
    def _screen(self) -> Console:
        """Where results go: if they share a screen with the progress, through the console that draws it."""
        return self.err if self.is_live and self.out.is_terminal else self.out

    def say(self, text: str) -> None:
        """Tell people something beside the results: a summary, a hint."""
        if not self.quiet:
            _print_words(self.err, Text(text))

    def log(self, text: str, *, is_bad: bool) -> None:
        """Show what was logged; which of it is shown, the log's level says."""
        _print_words(self.err, Text(text, style="yellow" if is_bad else "dim"))

    def announced(self, text: str) -> AbstractContextManager[object]:
        """Show a text for as long as something takes; a pipe gets none of it."""
        return self.err.status(Text(text)) if self.is_live else nullcontext()

    def error(self, text: str) -> None:
        """Tell people what went wrong."""
        _print_words(self.err, Text(f"cl-client: {text}", style="red"))


def _print_words(console: Console, text: Text) -> None:
    """Print words so that a terminal breaks its lines between them, and a pipe none at all."""
    console.print(text, overflow="fold" if console.is_terminal else None, soft_wrap=not console.is_terminal)


def _console(stream: TextIO) -> Console:
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    width = _PIPED_WIDTH if piped else None
    return _SafeConsole(file=stream, width=width, markup=False, emoji=False, highlight=False)
