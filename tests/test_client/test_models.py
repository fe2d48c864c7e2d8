"""What servers of all generations say, as models."""

from __future__ import annotations

import pytest

from cl_client import (
    InvalidResponseError,
    JobFailedError,
    JobNotFinishedError,
    JobResponse,
    JobStatus,
    TaskOutput,
    WorkerCapability,
)
from cl_client.models import JobEvent
from cl_client.plugins.exif import ExifParams
from cl_client.plugins.face_detection import FaceDetectionOutput
from cl_client.plugins.hash import HashOutput
from cl_client.plugins.hls_streaming import HlsStreamingParams


def job(**values: object) -> JobResponse:
    return JobResponse.model_validate({"job_id": "j", "task_type": "hash", "status": "queued", **values})


@pytest.mark.parametrize(
    ("word", "status", "terminal"),
    [
        ("queued", JobStatus.QUEUED, False),
        ("processing", JobStatus.PROCESSING, False),
        ("in_progress", JobStatus.PROCESSING, False),
        ("completed", JobStatus.COMPLETED, True),
        ("error", JobStatus.FAILED, True),
        ("failed", JobStatus.FAILED, True),
        ("paused", JobStatus.UNKNOWN, False),
    ],
)
def test_status_words(word: str, status: JobStatus, terminal: bool) -> None:  # noqa: FBT001 - an expectation
    made = job(status=word)
    assert (made.status, made.raw_status, made.status.is_terminal) == (status, word, terminal)


def test_an_output_has_its_warnings_without_what_is_no_text() -> None:
    output = job(status="completed", task_output={"warnings": ["truncated", 5]}).output
    other = job(status="completed", task_output={"warnings": "truncated"}).output
    assert output is not None
    assert other is not None
    assert output.warnings == ("truncated",)
    assert other.warnings == ()


def test_seed_words_compare_equal() -> None:
    assert job(status="error").status == "failed"
    assert job(status="completed").status == "completed"


@pytest.mark.parametrize(("sent", "read"), [(-5, 0), (55.6, 56), (1e300, 100), (100, 100)])
def test_progress_is_a_whole_percentage(sent: float, read: int) -> None:
    assert job(progress=sent).progress == read


def test_null_says_nothing() -> None:
    made = job(params=None, progress=None, created_at=None)
    assert (made.params, made.progress, made.created_at) == ({}, 0, None)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (1_700_000_000_000, 1_700_000_000_000),
        (1.5, 2),
        ("2026-01-01T00:00:00+00:00", 1_767_225_600_000),
        ("2026-01-01T00:00:00", None),  # it may be of any zone
        ("yesterday", None),
        pytest.param(10**400, None, id="huge"),
        (float("nan"), None),
        (True, None),
        ([], None),
    ],
)
def test_a_time_that_cannot_be_read_is_none(sent: object, read: int | None) -> None:
    assert job(started_at=sent).started_at == read


@pytest.mark.parametrize("timestamp", [None, 1.5, "soon", 10**400], ids=["null", "float", "word", "huge"])
def test_an_event_counts_whatever_its_unused_timestamp_is(timestamp: object) -> None:
    event = JobEvent.model_validate({"job_id": "j", "event_type": "completed", "timestamp": timestamp})
    assert event.event_type == "completed"


def test_output_is_typed_and_keeps_unknown_fields() -> None:
    output = job(status="completed", task_output={"media_type": "image", "new": 1}).output
    assert isinstance(output, HashOutput)
    assert output.media_type == "image"
    assert output.model_extra == {"new": 1}


def test_output_of_a_task_that_no_plugin_knows() -> None:
    output = job(task_type="mine", status="completed", task_output={"a": 1}).output
    assert type(output) is TaskOutput


def test_output_before_the_end_and_after_a_failure() -> None:
    with pytest.raises(JobNotFinishedError, match="queued at 0 %"):
        _ = job().output
    failed = job(status="error", error_message="no such codec")
    with pytest.raises(JobFailedError, match="no such codec") as caught:
        _ = failed.output
    assert caught.value.job is failed


def test_output_of_the_wrong_shape() -> None:
    odd = job(task_type="face_detection", status="completed", task_output={"faces": [1]})
    with pytest.raises(InvalidResponseError, match="face_detection"):
        _ = odd.output


def test_both_face_layouts() -> None:
    box = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4}
    old = FaceDetectionOutput.model_validate({"faces": [{**box, "confidence": 0.9}], "num_faces": 1})
    new = FaceDetectionOutput.model_validate({"faces": [{"bbox": box, "confidence": 0.9}], "num_faces": 1})
    assert old.faces[0].bbox == new.faces[0].bbox
    assert old.faces[0].confidence == 0.9


@pytest.mark.parametrize("key", ["id", "worker_id"])
def test_both_names_of_a_worker(key: str) -> None:
    worker = WorkerCapability.model_validate({key: "w1", "capabilities": ["hash"], "idle_count": 1})
    assert worker.worker_id == "w1"


def test_forms_are_read_back_as_they_were_sent() -> None:
    tags = ExifParams(tags=("Make", "Model"))
    assert tags.form_fields() == {"tags": "Make,Model"}
    assert ExifParams.model_validate(tags.form_fields()) == tags
    hls = HlsStreamingParams()
    assert hls.form_fields()["include_original"] == "false"
    assert HlsStreamingParams.model_validate(hls.form_fields()) == hls
