"""How far a transfer is, told to whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from cl_client.options import ByteProgress

logger = get_logger("cl_client.transfers")

_RAISED = "a progress callback raised and is not called again; the transfer goes on"


class Reporter:
    """Calls back with the bytes done; a callback that raises is logged, and not called again.

    Args:
        callback: Whom to tell, None for nobody.
        total: Bytes of the whole, None where that is not known.
    """

    def __init__(self, callback: ByteProgress | None, total: int | None) -> None:
        self._callback = callback
        self._total = total

    def __call__(self, done: int) -> None:
        """So many bytes are done."""
        if self._callback is None:
            return
        try:
            self._callback(done, self._total)
        except Exception:
            self._callback = None
            logger.exception(_RAISED)


class FilesReporter:
    """Turns the progress of single files into that of all of them.

    Args:
        callback: Whom to tell, None for nobody.
        files: Their paths.
    """

    def __init__(self, callback: Callable[[FilesProgress], None] | None, files: Collection[str]) -> None:
        self._callback = callback
        self._done = dict.fromkeys(files, 0)
        self._totals: dict[str, int | None] = dict.fromkeys(files)
        self._complete = 0

    def of(self, file: str) -> ByteProgress:
        """The callback for one of them."""
        return partial(self._went_on, file)

    def complete(self, file: str) -> None:
        """A file is there whole."""
        self._complete += 1
        self._totals[file] = self._done[file]
        self._tell(file)

    def _went_on(self, file: str, done: int, total: int | None) -> None:
        self._done[file], self._totals[file] = done, total
        self._tell(file)

    def _tell(self, file: str) -> None:
        if self._callback is None:
            return
        known = [total for total in self._totals.values() if total is not None]
        progress = FilesProgress(
            file=file,
            file_done=self._done[file],
            file_total=self._totals[file],
            files_done=self._complete,
            files_total=len(self._totals),
            bytes_done=sum(self._done.values()),
            bytes_total=sum(known) if len(known) == len(self._totals) else None,
        )
        try:
            self._callback(progress)
        except Exception:
            self._callback = None
            logger.exception(_RAISED)


@dataclass(frozen=True, slots=True)
class FilesProgress:
    """How far a download of several files is.

    Attributes:
        file: The path, below the job, of the file that went on.
        file_done: Its bytes so far.
        file_total: All its bytes, None where the server does not say it.
        files_done: How many files are complete.
        files_total: How many there are.
        bytes_done: Bytes of all files so far.
        bytes_total: All bytes, None until the server has said it of every file.
    """

    file: str
    file_done: int
    file_total: int | None
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int | None
