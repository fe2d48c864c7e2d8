"""The items of a batch: their identity, and whether there is work left for them."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, cast
from weakref import WeakValueDictionary

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from cl_client_cli.tasks.inputs import content_digest

State: TypeAlias = Literal["waiting", "submitting", "submitted", "done", "failed"]

_RECENT: Final = 64
"""Of how many files the content is remembered; at least as many as jobs run at the same time."""


class ItemKey(NamedTuple):
    """The identity of an item, unique in a batch.

    Attributes:
        source: The input file.
        task: The name of the task.
        params: The parameters of the task, as JSON text.
    """

    source: Path
    task: str
    params: str


class Content(NamedTuple):
    """A file's content, and the values that show whether it may have changed.

    Attributes:
        digest: The SHA-256 digest in hexadecimal.
        size: The size in bytes before the file was read.
        mtime_ns: The modification time in nanoseconds before the file was read.
    """

    digest: str
    size: int
    mtime_ns: int


class Contents:
    """Reads files to identify their contents, each once for the tasks that follow each other on it."""

    def __init__(self) -> None:
        self._recent: dict[Path, tuple[_Version, Content]] = {}
        self._reading: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def of(self, source: Path) -> Content:
        """Read a file, unless it was just read and has not been touched since.

        Args:
            source: The input file.

        Returns:
            The content's digest, size and time.

        Raises:
            OSError: The file cannot be read.
        """
        reading = self._reading.setdefault(source, asyncio.Lock())
        async with reading:
            version, content = await asyncio.to_thread(_read, source, self._recent.pop(source, None))
        self._recent[source] = version, content
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        return content


class _Version(NamedTuple):
    """What changes whenever a file is written or replaced, also if its time is set back."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def _read(source: Path, known: tuple[_Version, Content] | None) -> tuple[_Version, Content]:
    found = source.stat()
    version = _Version(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if known is not None and known[0] == version:
        return known
    return version, Content(content_digest(source), found.st_size, found.st_mtime_ns)


def _from_json(value: object) -> object:
    return cast("object", json.loads(value)) if isinstance(value, str) else value


class Item(BaseModel):
    """One task on one file.

    Attributes:
        id: The number of the item.
        source: The input file.
        task: The name of the task.
        params: The parameters of the task, as JSON text.
        target: The path of the result.
        digest: The SHA-256 digest of the file's content; None before it was read.
        size: The file's size in bytes at that time.
        mtime_ns: The file's modification time in nanoseconds at that time.
        state: The state; ``submitting`` from when the file was sent until the server has answered.
        job_id: The ID of the job; None before it was submitted.
        error: Why it failed; None if it did not.
        transient: Whether it may succeed later.
        summary: The result in a few words.
        data: The result for programs.
        files: The files that were saved, the result itself first.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    source: Path
    task: str
    params: str
    target: Path
    digest: str | None
    size: int | None
    mtime_ns: int | None
    state: State
    job_id: str | None
    error: str | None
    transient: bool
    summary: str | None
    data: Annotated[dict[str, JsonValue] | None, BeforeValidator(_from_json)]
    files: tuple[Path, ...]

    def is_pending(self, *, retry_failed: bool) -> bool:
        """Check whether there may be work left; the file's content decides finally, see `is_settled`.

        Args:
            retry_failed: Whether permanent failures are retried.

        Returns:
            Whether there may be.
        """
        if self.state == "done":
            return not self.target.exists() or self._was_written
        if self.state == "failed":
            return retry_failed or self.transient or self._was_written
        return True

    def is_settled(self, content: Content, *, retry_failed: bool) -> bool:
        """Check whether no work is left for a file with this content.

        Args:
            content: The current content of the file.
            retry_failed: Whether permanent failures are retried.

        Returns:
            Whether nothing is left to do.
        """
        if content.digest != self.digest:
            return False
        if self.state == "done":
            return self.target.exists()
        return self.state == "failed" and not self.transient and not retry_failed

    def known_job(self, content: Content) -> str | None:
        """Find the job for this content that may still exist, running or finished.

        Args:
            content: The current content of the file.

        Returns:
            The job ID; None if there is no such job.
        """
        return self.job_id if self._job_may_be_there and self.digest == content.digest else None

    def known_content(self) -> Content | None:
        """The content of the known job, for when the file no longer exists.

        Returns:
            The content; None if there is no such job.
        """
        parts = (self.digest, self.size, self.mtime_ns)
        if self.job_id is None or not self._job_may_be_there or None in parts:
            return None
        return Content(self.digest or "", self.size or 0, self.mtime_ns or 0)

    @property
    def _job_may_be_there(self) -> bool:
        return self.state == "submitted" or (self.state == "failed" and self.transient)

    @property
    def _was_written(self) -> bool:
        """Whether the file was modified since it was read, or is readable only now."""
        if self.size is None:
            return self.source.is_file() and os.access(self.source, os.R_OK)
        try:
            now = self.source.stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns)
