"""What is known of a followed job never goes back, whatever is read of it."""

from __future__ import annotations

import pytest
from typing_extensions import override

from cl_client._jobs.followed_job import FollowedJob, Listener
from cl_client.models import JobResponse, JobStatus
from tracked_jobs import job


class Patient(Listener):
    """Accepts pauses of some seconds."""

    def __init__(self, seconds: float | None) -> None:
        self.followed: FollowedJob | None = None
        self.uninformed = False
        self._seconds = seconds

    @property
    @override
    def max_interval(self) -> float | None:
        return self._seconds

    @override
    def progress(self, job: JobResponse) -> None: ...

    @override
    def complete(self, job: JobResponse) -> None: ...

    @override
    def failed(self, error: Exception) -> None: ...

    @override
    def cancel(self) -> None: ...


def known(status: str, progress: int = 0) -> FollowedJob:
    followed = FollowedJob("j", "hash", job=job(status, progress))
    assert followed.job is not None
    assert followed.advance(followed.job.status, progress)
    return followed


@pytest.mark.parametrize(
    ("status", "progress", "changed", "percent"),
    [
        (JobStatus.QUEUED, 0, False, 40),
        (JobStatus.UNKNOWN, 90, False, 40),
        (JobStatus.PROCESSING, 30, False, 40),
        (JobStatus.PROCESSING, 40, False, 40),
        (JobStatus.PROCESSING, 41, True, 41),
        (JobStatus.FAILED, 0, True, 40),
        (JobStatus.DELETED, 0, True, 40),
        (JobStatus.COMPLETED, 100, True, 100),
    ],
)
def test_what_is_new(status: JobStatus, progress: int, changed: bool, percent: int) -> None:  # noqa: FBT001 - a parametrised case
    followed = known("processing", 40)
    assert followed.runs
    assert followed.advance(status, progress) is changed
    assert followed.percent == percent


def test_an_ended_job_does_not_run_again() -> None:
    followed = known("completed", 100)
    assert not followed.advance(JobStatus.PROCESSING, 100)
    assert not followed.advance(JobStatus.FAILED, 100)
    assert not known("queued").runs


@pytest.mark.parametrize(
    ("read", "seen"),
    [
        (("queued", 0), ("in_progress", JobStatus.PROCESSING, 40)),
        (("queued", 50), ("in_progress", JobStatus.PROCESSING, 40)),
        (("processing", 20), ("processing", JobStatus.PROCESSING, 40)),
        (("completed", 30), ("completed", JobStatus.COMPLETED, 40)),
        (("error", 0), ("error", JobStatus.FAILED, 40)),
        (("paused", 10), ("paused", JobStatus.UNKNOWN, 40)),
    ],
)
def test_a_read_job_that_is_behind(read: tuple[str, int], seen: tuple[str, JobStatus, int]) -> None:
    adjusted = known("in_progress", 40).not_behind(job(*read))
    assert (adjusted.raw_status, adjusted.status, adjusted.progress) == seen


@pytest.mark.parametrize("read", [("processing", 40), ("processing", 41), ("completed", 40), ("error", 41)])
def test_a_read_job_that_is_not_behind_stays_as_it_is(read: tuple[str, int]) -> None:
    there = job(*read)
    assert known("processing", 40).not_behind(there) is there


def test_without_a_known_job_the_read_one_keeps_its_status() -> None:
    followed = FollowedJob("j", "hash")
    followed.advance(JobStatus.PROCESSING, 40)
    adjusted = followed.not_behind(job("queued"))
    assert (adjusted.status, adjusted.raw_status, adjusted.progress) == (JobStatus.QUEUED, "queued", 40)


def test_a_deleted_job_is_the_last_known_one() -> None:
    deleted = known("processing", 40).deleted(ValueError("Job j not found"))
    assert deleted == job("processing", 40).model_copy(
        update={"status": JobStatus.DELETED, "error_message": "Job j not found"}
    )


def test_a_deleted_job_of_which_nothing_is_known() -> None:
    deleted = FollowedJob("j", "hash").deleted(ValueError("gone"))
    assert (deleted.job_id, deleted.task_type, deleted.status) == ("j", "hash", JobStatus.DELETED)
    assert (deleted.raw_status, deleted.error_message) == ("", "gone")


@pytest.mark.parametrize(
    ("patience", "longest"), [((), None), ((None,), None), ((None, 5.0, 3.0), 3.0), ((0.5, None), 0.5)]
)
def test_the_least_patient_listener_counts(patience: tuple[float | None, ...], longest: float | None) -> None:
    followed = FollowedJob("j", "hash", listeners=[Patient(seconds) for seconds in patience])
    followed.note_patience()
    assert followed.max_interval == longest
