"""Progress reports of transfers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from cl_client.options import ByteProgress

logger = get_logger("cl_client.transfers")

_RAISED = "a progress callback raised an error and is not called again; the transfer continues"


class Reporter:
    """Calls a callback with the bytes done; if it raises an error, that is logged and ends the reports.

    Args:
        callback: The callback, or None.
        total: Total number of bytes; None if unknown.
    """

    def __init__(self, callback: ByteProgress | None, total: int | None) -> None:
        self._callback = callback
        self._total = total

    def __call__(self, done: int) -> None:
        """Report the progress.

        Args:
            done: Number of bytes done.
        """
        if self._callback is None:
            return
        try:
            self._callback(done, self._total)
        except Exception:
            self._callback = None
            logger.exception(_RAISED)


class FilesReporter:
    """Combines the progress of several files.

    Args:
        callback: Called with the combined progress, or None.
        files: Paths of the files.
    """

    def __init__(self, callback: Callable[[FilesProgress], None] | None, files: Collection[str]) -> None:
        self._callback = callback
        self._done = dict.fromkeys(files, 0)
        self._totals: dict[str, int | None] = dict.fromkeys(files)
        self._complete = 0

    def of(self, file: str) -> ByteProgress:
        """Create the progress callback for a file.

        Args:
            file: Path of the file.

        Returns:
            A callback for the bytes done and the total.
        """
        return partial(self._went_on, file)

    def complete(self, file: str) -> None:
        """Report that a file is complete.

        Args:
            file: Path of the file.
        """
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
    """Progress of a download of several files.

    Attributes:
        file: Path, inside the job, of the file that made progress.
        file_done: Bytes of this file so far.
        file_total: Size of this file in bytes; None if unknown.
        files_done: Number of complete files.
        files_total: Number of all files.
        bytes_done: Bytes of all files so far.
        bytes_total: Size of all files in bytes; None until the size of every file is known.
    """

    file: str
    file_done: int
    file_total: int | None
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int | None
