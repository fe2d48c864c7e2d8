"""Every error can go to another process, and be copied, with all that it says."""

from __future__ import annotations

import copy
import errno
import inspect
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from cl_client import exceptions
from cl_client._http.errors import error_for, with_content
from cl_client.exceptions import (
    ClientClosedError,
    ComputeClientError,
    DestinationExistsError,
    FileWriteError,
    HTTPError,
    JobFailedError,
    JobFilesError,
    JobNotFinishedError,
    JobTimeoutError,
    MissingExtraError,
    RequestTimeoutError,
    ServerBusyError,
    ServerPathRefusedError,
    UnknownTaskError,
    UploadNotRepeatableError,
    WorkerUnavailableError,
)
from cl_client.models import JobResponse

if TYPE_CHECKING:
    from collections.abc import Generator

JOB = JobResponse.model_validate({"job_id": "j", "task_type": "hash", "status": "error"})
REQUEST = httpx.Request("GET", "http://server/jobs/j", headers={"Authorization": "Bearer s3cret"})
ANSWER = httpx.Response(
    404, json={"detail": "x"}, headers={"Set-Cookie": "id=s3cret", "X-Kind": "own"}, request=REQUEST
)
OF_THEIR_OWN: list[ComputeClientError] = [
    ClientClosedError("j"),
    DestinationExistsError.at(Path("a")),
    FileWriteError.of(Path("a"), OSError(errno.ENOSPC, "No space left")),
    JobFailedError(JOB),
    JobFilesError.of("j", {"a": JobFailedError(JOB), "b": ValueError("b")}),
    JobNotFinishedError(JOB),
    JobTimeoutError("j", 3, JOB),
    MissingExtraError("It", "auth"),
    ServerBusyError("busy", response=ANSWER, detail="x", retry_after=3.0),
    UnknownTaskError("x", ["hash"]),
    ServerPathRefusedError("hash", "http://server:8002", "/photos/a.jpg", "no", status_code=404),
    UploadNotRepeatableError("a.jpg"),
    WorkerUnavailableError(["hash"], {"exif": 1}),
]


def samples() -> Generator[ComputeClientError]:
    """One of each kind, also of those that are added later."""
    yield from OF_THEIR_OWN
    done = {type(error) for error in OF_THEIR_OWN}
    for kind in cast("dict[str, object]", vars(exceptions)).values():
        if not (inspect.isclass(kind) and issubclass(kind, ComputeClientError)) or kind in done:
            continue
        if issubclass(kind, HTTPError):
            yield kind("no", response=ANSWER, detail="x")
        elif kind is not exceptions.JobError:
            yield kind("no")


def said(error: ComputeClientError) -> dict[str, object]:
    """What an error has to say, in a form that can be compared."""
    slots = {name: cast("object", getattr(error, name, None)) for name in ("errno", "msg")}
    attributes = cast("dict[str, object]", vars(error))
    known: dict[str, object] = {"text": str(error), "kind": type(error), "args": [*map(str, error.args)]}
    return known | slots | {name: repr(value) for name, value in attributes.items()}


def name_of(error: ComputeClientError) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", [*samples()], ids=name_of)
def test_an_error_comes_through_whole(error: ComputeClientError) -> None:
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - ours
        assert isinstance(again, ComputeClientError)
        assert said(again) == said(error)


def test_what_was_answered_comes_through_without_secrets() -> None:
    error = error_for(with_content(ANSWER, ANSWER.content))
    pickled = pickle.dumps(error)
    assert b"s3cret" not in pickled
    again = cast("HTTPError", pickle.loads(pickled))  # noqa: S301 - our own
    assert (again.status_code, again.detail, again.response.json()) == (404, "x", {"detail": "x"})
    assert (again.request.url, again.response.headers["X-Kind"]) == (REQUEST.url, "own")


def test_an_unread_answer_and_a_request_come_through() -> None:
    unread = httpx.Response(500, stream=httpx.ByteStream(b"x"), request=REQUEST)
    failed = HTTPError("no", response=unread, detail="x")
    again = cast("HTTPError", pickle.loads(pickle.dumps(failed)))  # noqa: S301 - our own
    assert (again.response.status_code, again.response.content) == (500, b"")
    late = RequestTimeoutError("late")
    late.request, late.may_have_been_accepted = REQUEST, False
    copied = copy.copy(late)
    assert (copied.request.url, copied.may_have_been_accepted) == (REQUEST.url, False)
    assert "Authorization" not in copied.request.headers
