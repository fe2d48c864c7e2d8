"""One ExifTool that stays open for many files: starting it takes many times as long as reading a file."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import secrets
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONFIG: Final = Path(__file__).with_name("exiftool_config.pl")
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""As much as a worker may reply."""
_BLOCK_BYTES: Final = 64 * 1024
_MARK_BYTES: Final = 64
_MAX_FILES: Final = 1000
"""Then a new process is started: Perl does not return the memory that a large file took."""

_Stream: TypeAlias = int
_OUT: Final[_Stream] = 1
_ERR: Final[_Stream] = 2


class ExifToolEndedError(Exception):
    """ExifTool ended before it had answered; the message is what it printed, or else how it ended."""


class AnswerTooLargeError(Exception):
    """ExifTool printed more than `_MAX_ANSWER_BYTES`."""


class ExifToolProcess:
    """An ExifTool that reads one file after the other. Not safe for several threads.

    After any exception, the process is of no more use: close it.

    Attributes:
        owner: The ID of the Python process that started it.

    Args:
        program: Path of ExifTool.
        options: The options for every file.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(self, program: str, options: Sequence[str]) -> None:
        self.owner = os.getpid()
        # Not to be guessed, so that nothing in a file can look like the end of an answer.
        self._next = secrets.randbelow(10**12)
        self._blocks: queue.SimpleQueue[tuple[_Stream, bytes]] = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 - no shell
            [program, "-config", str(_CONFIG), "-stay_open", "True", "-@", "-", "-common_args", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl+C reaches every process of a terminal's group; this one ends with its worker.
            process_group=0 if os.name == "posix" else None,
        )
        for stream, pipe in ((_OUT, self._process.stdout), (_ERR, self._process.stderr)):
            assert pipe is not None  # noqa: S101 - both are pipes
            threading.Thread(target=self._pump, args=(stream, pipe), name="exiftool", daemon=True).start()

    def _pump(self, stream: _Stream, pipe: BinaryIO) -> None:
        """Read all output at once, so that ExifTool never waits for one pipe while the other one is read."""
        with pipe:
            while block := os.read(pipe.fileno(), _BLOCK_BYTES):
                self._blocks.put((stream, block))
        self._blocks.put((stream, b""))

    def read(self, file: Path, timeout: float) -> tuple[bytes, str]:
        """Read a file.

        Args:
            file: The file, an absolute path.
            timeout: Limit in seconds.

        Returns:
            What ExifTool printed about it on stdout and stderr.

        Raises:
            TimeoutError: It took longer.
            ExifToolEndedError: The process has ended.
            AnswerTooLargeError: The output is too large.
        """
        self._next += 1
        mark = f"{{ready{self._next}}}".encode()
        command = (_argument(file), b"-echo4", mark, b"-execute%d" % self._next, b"")
        with contextlib.suppress(OSError):  # it has ended; the end of its output says so too, and maybe why
            stdin = self._process.stdin
            assert stdin is not None  # noqa: S101 - a pipe
            stdin.write(b"\n".join(command))
            stdin.flush()
        texts = self._answer(mark, time.monotonic() + timeout)
        return texts[_OUT], texts[_ERR].decode(errors="replace").strip()

    def _answer(self, mark: bytes, deadline: float) -> dict[_Stream, bytes]:
        """Collect both outputs up to the mark that ExifTool prints after each file."""
        texts = {_OUT: bytearray(), _ERR: bytearray()}
        ended: set[_Stream] = set()
        waiting = {_OUT, _ERR}
        while waiting:
            try:
                stream, block = self._blocks.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            text = texts[stream]
            text += block
            if not block:
                ended.add(stream)
                if ended == {_OUT, _ERR}:
                    raise ExifToolEndedError(self._reason(texts[_ERR]))
            elif text[-_MARK_BYTES:].rstrip().endswith(mark):
                waiting.discard(stream)
            elif len(text) > _MAX_ANSWER_BYTES:
                raise AnswerTooLargeError
        return {stream: bytes(text).rstrip().removesuffix(mark) for stream, text in texts.items()}

    def _reason(self, printed: bytearray) -> str:
        code = self._process.wait()
        return printed.decode(errors="replace").strip() or f"exit code {code}"

    def close(self) -> None:
        """Kill the process; it only reads, so nothing is lost."""
        process = self._process
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):  # what it has not read
            if process.stdin is not None:
                process.stdin.close()


def _argument(file: Path) -> bytes:
    """A path as a line of arguments; an absolute path is never taken for an option or a comment."""
    line = os.fsencode(file)
    if b"\n" not in line and b"\r" not in line:
        return line
    escaped = line.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"#[CSTR]" + escaped


class KeptExifTool:
    """Starts ExifTool on first use, and anew when it has ended, was changed, or has read many files.

    Args:
        options: The options for every file.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._process: ExifToolProcess | None = None
        self._started_as: object = None
        self._files = 0
        atexit.register(self.close)

    def read(self, program: str, file: Path, timeout: float) -> tuple[bytes, str]:
        """Read a file; see `ExifToolProcess.read`.

        Args:
            program: Path of ExifTool.
            file: The file, an absolute path.
            timeout: Limit in seconds.

        Returns:
            What ExifTool printed about it on stdout and stderr.

        Raises:
            OSError: The program cannot be started.
            TimeoutError: It took longer.
            ExifToolEndedError: The process has ended.
            AnswerTooLargeError: The output is too large.
        """
        with self._lock:
            reused = self._prepare(program)
            try:
                return self._read(program, file, timeout)
            except ExifToolEndedError:
                if not reused:
                    raise
                # Perhaps it was ended while it was idle, which is not the fault of this file.
                return self._read(program, file, timeout)

    def _prepare(self, program: str) -> bool:
        """Close a process that cannot be used any longer; return whether there is another one."""
        # An open ExifTool that is replaced by another version would load modules of both. After a fork, the
        # process is that of the parent.
        status = Path(program).stat()
        state = (program, status.st_ino, status.st_mtime_ns, os.getpid())
        if state != self._started_as or self._files >= _MAX_FILES:
            self.close()
            self._started_as, self._files = state, 0
        return self._process is not None

    def _read(self, program: str, file: Path, timeout: float) -> tuple[bytes, str]:
        if self._process is None:
            self._process = ExifToolProcess(program, self._options)
        try:
            self._files += 1
            return self._process.read(file, timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, unless it is that of another Python process, from which this one was forked."""
        process, self._process = self._process, None
        if process is not None and process.owner == os.getpid():
            process.close()
