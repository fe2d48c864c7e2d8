"""The server that tests of `test_plugins` run against: what it gives, where servers differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import httpx
from pydantic import BaseModel

from patience import SECONDS

if TYPE_CHECKING:
    from cl_client import JobResponse

FAILING_TASKS: Final = ("hash", "media_thumbnail")
"""Real servers of late February fail at all their jobs."""

Generation: TypeAlias = Literal["A", "B", "C"]
"""As `cl_client.local.generations` has them, as far as the results of tasks differ: A is of December 2025."""


class _Document(BaseModel):
    paths: dict[str, object]


@dataclass(frozen=True)
class ServerUnderTest:
    """A running server.

    Attributes:
        generation: By the paths that it serves.
        is_own: Whether it is a local server of this test run, without the faults of real ones. Of any other
            nobody knows that: it may be a real one.
    """

    generation: Generation
    is_own: bool

    @classmethod
    def at(cls, base_url: str, *, is_own: bool) -> ServerUnderTest:
        """Ask the server what it serves; every generation answers that, without a login."""
        answer = httpx.get(f"{base_url}/openapi.json", timeout=SECONDS).raise_for_status()
        paths = _Document.model_validate_json(answer.content).paths
        if "/admin/pref" in paths:
            return cls("C", is_own)
        return cls("B" if "/admin/config" in paths else "A", is_own)

    def embedding_file(self, task: str) -> str:
        """What the file of an embedding is called; that of `clip_embedding` is the same everywhere."""
        odd = self.generation == "A" and task != "clip_embedding"
        return f"{task}.nb.npy" if odd else f"{task}.npy"

    @property
    def cuts_out_faces(self) -> bool:
        """Whether faces have landmarks and pictures, and their boxes are nested."""
        return self.generation != "A"

    def fails_at(self, job: JobResponse) -> bool:
        """Whether a real server has failed at a job that a local one completes; a failure has its words."""
        assert job.status == "completed" or (job.status == "failed" and job.error_message and not self.is_own)
        return job.status == "failed"

    def agrees(self, seen: object, expected: object, on_real_servers: object) -> bool:
        """Whether a result is as expected, or as real servers make it where the local one is kinder."""
        return seen == expected or (not self.is_own and seen == on_real_servers)
