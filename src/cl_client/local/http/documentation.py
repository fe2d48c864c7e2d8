"""The compute service's OpenAPI document: its answers, and one POST route per task.

Imports FastAPI, which is slow, and so is imported for the first request for a document only.
"""

from __future__ import annotations

import pkgutil
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, cast

from fastapi import FastAPI, Query
from pydantic import BaseModel
from starlette.responses import FileResponse

from cl_client._transfers.references import SHARES_PATH
from cl_client.local.http.admin_forms import CleanupQuery, GuestModeForm
from cl_client.local.http.job_form import CommonFields
from cl_client.local.http.share_access import ReferenceFields, SharedFolderList
from cl_client.local.http.uploads import FILE_FIELD
from cl_client.local.jobs.store import StoredJob  # noqa: TC001 - FastAPI reads the annotations
from cl_client.local.openapi import FORM_ERRORS, form_body, responses
from cl_client.models import JSONObject  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client.local.generations import Dialect
    from cl_client.local.tasks import TaskSpec

_SHARE_ERRORS: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_NOT_ALLOWED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_JOB_ERRORS: Final = (*_NOT_ALLOWED, *FORM_ERRORS)
_FILE: Final = {
    "description": "The file",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


class AcceptedJob(BaseModel):
    """A job that was queued."""

    job_id: str
    status: str
    task_type: str


class Health(BaseModel):
    """The state of the server; older generations do not report whether tokens are required."""

    status: str
    service: str
    version: str
    auth_required: bool | None = None
    guestMode: str | None = None  # noqa: N815 - the wire's name


class Capabilities(BaseModel):
    """The number of workers, and of idle ones for each available task."""

    num_workers: int
    capabilities: dict[str, int]


class Storage(BaseModel):
    """The storage of all jobs, in bytes."""

    total_size: int
    job_count: int


class Cleanup(BaseModel):
    """The deleted jobs, and the freed space in bytes."""

    deleted_count: int
    freed_space: int


class GuestModeState(BaseModel):
    """Whether guest mode is on, and who changed it when (milliseconds since the epoch)."""

    guest_mode: bool
    updated_at: int | None
    updated_by: str | None


class GuestModeChange(BaseModel):
    """The answer to a change of guest mode."""

    guest_mode: bool
    message: str


def document_app(tasks: Mapping[str, TaskSpec], dialect: Dialect, *, shares: bool) -> FastAPI:
    """Make the application that serves the documents of the compute service. Its other routes only describe.

    Args:
        tasks: The tasks that the server offers.
        dialect: The wire format of its generation.
        shares: Whether it takes paths for every task.

    Returns:
        The application.
    """
    app = FastAPI(title="Task Server", version="v1")
    _describe_status(app)
    _describe_jobs(app)
    if shares:
        _describe_shares(app)
    _describe_admin(app)
    if dialect.guest_mode_path is not None:
        _describe_guest_mode(app, dialect.guest_mode_path)
    for task, spec in tasks.items():
        _describe_task(app, task, spec, needs_file=task not in dialect.path_tasks, shares=shares)
    return app


def _describe_status(app: FastAPI) -> None:
    @app.get("/", responses=responses(answer=Health))
    async def health() -> JSONObject:
        raise NotImplementedError

    @app.get("/capabilities", responses=responses(answer=Capabilities))
    async def capabilities() -> JSONObject:
        raise NotImplementedError


def _describe_jobs(app: FastAPI) -> None:
    not_found = responses(*_NOT_ALLOWED, HTTPStatus.NOT_FOUND)

    @app.get("/jobs/{job_id}", responses=not_found)
    async def get_job(job_id: str) -> StoredJob:
        raise NotImplementedError

    @app.delete("/jobs/{job_id}", status_code=HTTPStatus.NO_CONTENT, responses=not_found)
    async def delete_job(job_id: str) -> None:
        raise NotImplementedError

    @app.get(
        "/jobs/{job_id}/files/{file_path:path}",
        response_class=FileResponse,
        responses={**responses(*_NOT_ALLOWED, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND), 200: _FILE},
    )
    async def get_job_file(job_id: str, file_path: str) -> FileResponse:
        raise NotImplementedError


def _describe_shares(app: FastAPI) -> None:
    @app.get(SHARES_PATH, responses=responses(*_NOT_ALLOWED, HTTPStatus.NOT_FOUND))
    async def shared_folders() -> SharedFolderList:
        raise NotImplementedError


def _describe_admin(app: FastAPI) -> None:
    @app.get("/admin/jobs/storage/size", responses=responses(*_NOT_ALLOWED, answer=Storage))
    async def storage_size() -> JSONObject:
        raise NotImplementedError

    @app.delete(
        "/admin/jobs/cleanup",
        responses=responses(*_NOT_ALLOWED, HTTPStatus.UNPROCESSABLE_ENTITY, answer=Cleanup),
    )
    async def cleanup(query: Annotated[CleanupQuery, Query()]) -> JSONObject:
        raise NotImplementedError


def _describe_guest_mode(app: FastAPI, path: str) -> None:
    @app.get(path, responses=responses(*_NOT_ALLOWED, answer=GuestModeState))
    async def read_guest_mode() -> JSONObject:
        raise NotImplementedError

    @app.put(
        f"{path}/guest-mode",
        responses=responses(*_NOT_ALLOWED, *FORM_ERRORS, answer=GuestModeChange),
        openapi_extra=form_body(GuestModeForm),
    )
    async def write_guest_mode() -> JSONObject:
        raise NotImplementedError


def _describe_task(app: FastAPI, task: str, spec: TaskSpec, *, needs_file: bool, shares: bool) -> None:
    """Describe the one path for all tasks as a path for each of them."""
    form = form_body(
        CommonFields,
        cast("type[BaseModel]", pkgutil.resolve_name(spec.params)),
        *([ReferenceFields] if shares else []),
        file_field=FILE_FIELD,
        needs_file=needs_file and not shares,
    )

    @app.post(
        f"/jobs/{task}",
        name=f"create_{task}_job",
        responses=responses(*_JOB_ERRORS, *(_SHARE_ERRORS if shares else ()), answer=AcceptedJob),
        openapi_extra=form,
    )
    async def create_job() -> None:
        raise NotImplementedError
