"""A job's typed output is made once, and a job whose output was looked at is no other job for that."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, assert_type, cast

import pytest
from pydantic import BaseModel, PrivateAttr, ValidationError

from cl_client import JobFailedError, JobResponse, JobStatus, TaskOutput
from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.hash import HashOutput

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = {
    "job_id": "j",
    "task_type": "exif",
    "status": "completed",
    "task_output": {"make": "Me", "raw_metadata": {"EXIF:Make": "Me"}},
    "newer": 1,
}


@pytest.fixture
def job() -> JobResponse:
    return JobResponse.model_validate(FIELDS)


@pytest.fixture
def looked_at() -> JobResponse:
    job = JobResponse.model_validate(FIELDS)
    assert isinstance(job.output, ExifOutput)
    return job


def test_it_is_the_same_object_each_time(looked_at: JobResponse) -> None:
    assert looked_at.output is looked_at.output


def unpickled(job: JobResponse) -> JobResponse:
    return cast("JobResponse", pickle.loads(pickle.dumps(job)))  # noqa: S301 - our own


VIEWS: dict[str, Callable[[JobResponse], object]] = {
    "equality": lambda job: job,
    "repr": repr,
    "str": str,
    "dict": lambda job: dict(iter(job)),
    "pickle": pickle.dumps,
    "unpickled": unpickled,
    "dump": JobResponse.model_dump,
    "json": JobResponse.model_dump_json,
    "validated": lambda job: JobResponse.model_validate(job.model_dump()),
    "model_copy": JobResponse.model_copy,
    "update": lambda job: job.model_copy(update={"progress": 5}),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "fields_set": lambda job: job.model_fields_set,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_looking_at_it_changes_nothing(
    job: JobResponse, looked_at: JobResponse, view: Callable[[JobResponse], object]
) -> None:
    assert view(looked_at) == view(job)


def test_a_copy_with_another_output_has_its_own(looked_at: JobResponse) -> None:
    other = looked_at.model_copy(update={"task_output": {"make": "You"}})
    assert isinstance(other.output, ExifOutput)
    assert other.output.make == "You"
    retyped = looked_at.model_copy(update={"task_type": "hash", "task_output": {"media_type": "text"}})
    assert isinstance(retyped.output, HashOutput)
    with pytest.raises(JobFailedError):
        _ = looked_at.model_copy(update={"status": "failed"}).raise_for_status().output


def test_unpickled_and_copied_jobs_have_theirs(looked_at: JobResponse) -> None:
    for one in (unpickled(looked_at), copy.copy(looked_at), copy.deepcopy(looked_at), looked_at.model_copy()):
        assert one.output == looked_at.output


def test_it_cannot_be_replaced(looked_at: JobResponse) -> None:
    kept = looked_at.output
    with pytest.raises(ValidationError):
        setattr(looked_at, "output", TaskOutput())  # noqa: B010 - the type checker knows that it cannot be
    assert looked_at.output is kept


def test_its_type_is_the_jobs() -> None:
    typed = JobResponse[ExifOutput].model_validate(FIELDS)
    assert_type(typed.output, ExifOutput)
    assert typed.output.make == "Me"
    assert typed.output is typed.output
    assert_type(typed.raise_for_status().output, ExifOutput)
    anything: JobResponse = typed  # covariant
    assert anything.output is typed.output


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"progress": 5},
        {"progress": 5, "status": JobStatus.PROCESSING, "raw_status": "processing"},
        {"progress": 5, "not a field": 1},
        {"newer": 2},
    ],
    ids=str,
)
def test_a_copy_is_what_pydantic_would_make(job: JobResponse, update: dict[str, object]) -> None:
    copied, expected = job.model_copy(update=update), BaseModel.model_copy(job, update=update)
    again = copied.model_copy(update={"error_message": "words"})
    for one, other in (
        (copied, expected),
        (again, BaseModel.model_copy(expected, update={"error_message": "words"})),
    ):
        assert one == other
        assert one.model_dump(exclude_unset=True) == other.model_dump(exclude_unset=True)
        assert one.model_extra == other.model_extra
        assert pickle.dumps(one) == pickle.dumps(other)
    assert job == JobResponse.model_validate(FIELDS)
    assert job.model_fields_set == JobResponse.model_validate(FIELDS).model_fields_set


def test_a_subclass_of_the_application_keeps_what_it_adds() -> None:
    class Mine(JobResponse):
        note: str = ""
        _seen: int = PrivateAttr(default=0)

        def see(self) -> int:
            self._seen += 1
            return self._seen

    mine = Mine.model_validate({**FIELDS, "note": "mine"})
    assert mine.see() == 1
    copied = mine.model_copy(update={"progress": 5})
    assert (copied.note, copied.progress, copied.see()) == ("mine", 5, 2)
