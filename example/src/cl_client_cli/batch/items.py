"""The items of a batch: what makes one, and when there is something left to do for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from cl_client_cli.tasks.inputs import content_digest

State: TypeAlias = Literal["waiting", "submitting", "submitted", "done", "failed"]


class ItemKey(NamedTuple):
    """What makes an item: the same is never there twice.

    Attributes:
        source: The file.
        task: The task.
        params: Its parameters, as JSON text.
    """

    source: Path
    task: str
    params: str


class Content(NamedTuple):
    """A file's content, and how to see that it may have changed.

    Attributes:
        digest: Its SHA-256.
        size: Its size in bytes before it was read.
        mtime_ns: When it had last been written, alike.
    """

    digest: str
    size: int
    mtime_ns: int


def content_of(source: Path) -> Content:
    """Read a file's content.

    Raises:
        OSError: It cannot be read.
    """
    before = source.stat()
    return Content(content_digest(source), before.st_size, before.st_mtime_ns)


def _from_json(value: object) -> object:
    return cast("object", json.loads(value)) if isinstance(value, str) else value


class Item(BaseModel):
    """One task on one file.

    Attributes:
        id: Its number.
        source: The file.
        task: The task.
        params: Its parameters, as JSON text.
        target: Where the result goes.
        digest: SHA-256 of the file's content, once it was read.
        size: The file's size in bytes at that time.
        mtime_ns: When it had last been written, alike.
        state: How far it is. ``submitting`` from when its file was sent until the server has answered.
        job_id: The job, once it was submitted.
        error: Why it failed.
        transient: Whether it may well succeed at another time.
        summary: The result in a few words.
        data: The result for programs.
        files: Where what was kept is, the result itself first.
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
        """Whether there may be something left to do; a look at the file's content says more."""
        if self.state == "done":
            return not self.target.exists() or self._was_written
        if self.state == "failed":
            return retry_failed or self.transient or self._was_written
        return True

    def is_settled(self, content: Content, *, retry_failed: bool) -> bool:
        """Whether nothing is left to do for a file with such content."""
        if content.digest != self.digest:
            return False
        if self.state == "done":
            return self.target.exists()
        return self.state == "failed" and not self.transient and not retry_failed

    def known_job(self, content: Content) -> str | None:
        """The job of such content that may still be there, running or done; None for none."""
        return self.job_id if self._job_may_be_there and self.digest == content.digest else None

    def known_content(self) -> Content | None:
        """The content that the known job has, for when the file is gone; None where there is no such job."""
        parts = (self.digest, self.size, self.mtime_ns)
        if self.job_id is None or not self._job_may_be_there or None in parts:
            return None
        return Content(self.digest or "", self.size or 0, self.mtime_ns or 0)

    @property
    def _job_may_be_there(self) -> bool:
        return self.state == "submitted" or (self.state == "failed" and self.transient)

    @property
    def _was_written(self) -> bool:
        """Whether the file has been written since it was read, or can be read only now."""
        if self.size is None:
            return self.source.is_file() and os.access(self.source, os.R_OK)
        try:
            now = self.source.stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns)
