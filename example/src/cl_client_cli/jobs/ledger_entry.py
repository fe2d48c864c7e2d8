"""One job of the ledger, as it was last seen."""

from __future__ import annotations

import json
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

FORGOTTEN: Final = "forgotten"
"""The status of a job that the server no longer has."""


class LedgerEntry(BaseModel):
    """One job.

    Attributes:
        server: The URL of the compute service.
        job_id: The ID of the job.
        task: The name of the task.
        source: The path of the file that was submitted.
        source_size: The file's size in bytes when it was submitted; None if it no longer existed.
        source_mtime_ns: The file's modification time in nanoseconds; None if it no longer existed.
        params: The parameters of the task.
        target: The path of the result; None if it is not saved.
        status: The last known status; ``forgotten`` if the server no longer has the job.
        progress: 0 to 100 percent.
        error: Why the job failed; None if it did not.
        submitted_at: When it was submitted, in seconds since the epoch, like the other times.
        updated_at: When the job was last read.
        ended_at: When it was first seen to have ended; None while it runs.
        kept_at: When its result was written to the target; None if it was not downloaded.
    """

    model_config = ConfigDict(frozen=True)

    server: str
    job_id: str
    task: str
    source: str
    source_size: int | None
    source_mtime_ns: int | None
    params: dict[str, str] = Field(default_factory=dict)
    target: str | None
    status: str
    progress: int
    error: str | None
    submitted_at: float
    updated_at: float
    ended_at: float | None
    kept_at: float | None

    @field_validator("params", mode="before")
    @classmethod
    def _from_json(cls, params: object) -> object:
        return json.loads(params) if isinstance(params, str) else params
