"""The HTTP interface of a local server, identical on the wire to a CL Server's."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse, Response

from cl_client._transfers.references import SHARES_PATH
from cl_client.local.auth.form_fields import Form, read_form
from cl_client.local.http.documentation import (
    Capabilities,
    Cleanup,
    DocumentedServer,
    GuestModeChange,
    GuestModeState,
    Health,
    Storage,
)
from cl_client.local.http.job_form import FormRules, receive_job
from cl_client.local.http.share_access import SharedFolderList  # noqa: TC001 - FastAPI reads the annotations
from cl_client.local.jobs.folders import NoJobFolderError, OutsideJobFolderError
from cl_client.local.jobs.store import StoredJob  # noqa: TC001 - FastAPI reads the annotations
from cl_client.local.openapi import FORM_ERRORS, form_body, responses
from cl_client.models import JSONObject  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from fastapi import FastAPI

    from cl_client.local.auth.guard import Guard
    from cl_client.local.auth.guest_mode import GuestMode
    from cl_client.local.http.share_access import ShareAccess
    from cl_client.local.jobs.service import JobService

_OCTET_STREAM = "application/octet-stream"
_NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_FILE = {
    "description": "The file",
    "content": {_OCTET_STREAM: {"schema": {"type": "string", "format": "binary"}}},
}


class _GuestModeForm(Form):
    guest_mode: bool


def create_app(service: JobService, guard: Guard, shares: ShareAccess | None = None) -> FastAPI:
    """Make the application of the compute service.

    Args:
        service: Runs and stores the jobs.
        guard: Checks the tokens of the requests.
        shares: What jobs may read on the server's disk; None for nothing.

    Returns:
        The application with all routes of the server's generation.
    """
    app = DocumentedServer(service.tasks, service.settings.dialect.path_tasks, shares=shares is not None)
    _add_status_routes(app, service, guard.guest_mode)
    _add_job_routes(app, service, guard, shares)
    _add_file_route(app, service, guard)
    if shares is not None:
        _add_shares_route(app, shares)
    _add_admin_routes(app, service, guard)
    if service.settings.dialect.guest_mode_path is not None:
        _add_guest_mode_routes(app, guard, service.settings.dialect.guest_mode_path)
    return app


def _add_status_routes(app: FastAPI, service: JobService, guest_mode: GuestMode) -> None:
    dialect = service.settings.dialect
    # Generation A looks for its workers only at the first request.
    unasked = dialect.late_capabilities and service.settings.strict_wire

    @app.get("/", responses=responses(answer=Health))
    async def health() -> JSONObject:
        answer: JSONObject = {"status": "healthy", "service": "Task Server", "version": "v1"}
        if dialect.tells_auth_required:
            answer["auth_required"] = not guest_mode.enabled
        if dialect.guest_mode_path is not None:
            answer["guestMode"] = "on" if guest_mode.enabled else "off"
        return answer

    @app.get("/capabilities", responses=responses(answer=Capabilities))
    async def capabilities() -> JSONObject:
        nonlocal unasked
        if unasked:
            unasked = False
            return {"num_workers": 0, "capabilities": {}}
        return service.capabilities()


def _add_shares_route(app: FastAPI, shares: ShareAccess) -> None:
    @app.get(
        SHARES_PATH,
        dependencies=[Depends(shares.user)],
        responses=responses(*_NOT_ALLOWED, HTTPStatus.NOT_FOUND),
    )
    async def shared_folders() -> SharedFolderList:
        return shares.announcement()


def _add_job_routes(app: FastAPI, service: JobService, guard: Guard, shares: ShareAccess | None) -> None:
    users_only = [Depends(guard.job_user)]
    not_found = responses(*_NOT_ALLOWED, HTTPStatus.NOT_FOUND)

    @app.get("/jobs/{job_id}", dependencies=users_only, responses=not_found)
    async def get_job(job_id: str) -> StoredJob:
        return await _known_job(service, job_id)

    @app.delete(
        "/jobs/{job_id}", status_code=HTTPStatus.NO_CONTENT, dependencies=users_only, responses=not_found
    )
    async def delete_job(job_id: str) -> None:
        if not await service.delete(job_id):
            raise _no_such_job(job_id)

    async def known_task(task_type: str) -> None:
        if task_type not in service.tasks:
            # Real servers have one POST route per task. For other names this is a path with other methods, of
            # which Starlette names the first route's.
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET"})

    # In the document it has one path per task.
    @app.post(
        "/jobs/{task_type}",
        dependencies=[Depends(known_task), *users_only],
        include_in_schema=False,
        response_model=None,
    )
    async def create_job(task_type: str, request: Request) -> JSONObject | Response:
        rules = FormRules(
            task_type,
            service.tasks[task_type],
            service.settings.max_upload_bytes,
            takes_path=task_type in service.settings.dialect.path_tasks,
            shares=shares,
        )
        try:
            job = await service.submit(task_type, partial(receive_job, request, rules))
        except RequestValidationError as exc:
            return _refusal(exc, service.tasks[task_type].crashes_on)
        return {"job_id": job.job_id, "status": job.status, "task_type": job.task_type}


def _refusal(exc: RequestValidationError, crashes_on: AbstractSet[str]) -> Response:
    """Refuse a form; if only fields are invalid that real servers do not check in time, crash as they do."""
    faults = cast("Sequence[Mapping[str, object]]", exc.errors())
    checked = [fault for fault in faults if cast("Sequence[str]", fault["loc"])[1] not in crashes_on]
    if checked:
        raise RequestValidationError(checked)
    # uvicorn closes the connection after an exception.
    return PlainTextResponse(
        "Internal Server Error", HTTPStatus.INTERNAL_SERVER_ERROR, headers={"Connection": "close"}
    )


def _add_file_route(app: FastAPI, service: JobService, guard: Guard) -> None:
    @app.get(
        "/jobs/{job_id}/files/{file_path:path}",
        response_class=FileResponse,
        dependencies=[Depends(guard.job_user)],
        responses={**responses(*_NOT_ALLOWED, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND), 200: _FILE},
    )
    async def get_job_file(job_id: str, file_path: str) -> FileResponse:
        await _known_job(service, job_id)
        try:
            path = await service.file(job_id, file_path)
        except OutsideJobFolderError:
            raise HTTPException(HTTPStatus.FORBIDDEN, "Access denied: path traversal detected") from None
        except NoJobFolderError:
            detail = f"Job directory not found for job {job_id}"
            raise HTTPException(HTTPStatus.NOT_FOUND, detail) from None
        except FileNotFoundError:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"File not found: {file_path}") from None
        except IsADirectoryError:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"Path is not a file: {file_path}") from None
        return FileResponse(path, media_type=_OCTET_STREAM, filename=path.name)


async def _known_job(service: JobService, job_id: str) -> StoredJob:
    job = await service.get(job_id)
    if job is None:
        raise _no_such_job(job_id)
    return job


def _no_such_job(job_id: str) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"Job {job_id} not found")


def _add_admin_routes(app: FastAPI, service: JobService, guard: Guard) -> None:
    admins_only = [Depends(guard.admin)]

    @app.get(
        "/admin/jobs/storage/size",
        dependencies=admins_only,
        responses=responses(*_NOT_ALLOWED, answer=Storage),
    )
    async def storage_size() -> JSONObject:
        return await service.storage()

    @app.delete(
        "/admin/jobs/cleanup",
        dependencies=admins_only,
        responses=responses(*_NOT_ALLOWED, HTTPStatus.UNPROCESSABLE_ENTITY, answer=Cleanup),
    )
    async def cleanup(days: Annotated[int, Query(ge=0)] = 7) -> JSONObject:
        return await service.cleanup(days)


def _add_guest_mode_routes(app: FastAPI, guard: Guard, path: str) -> None:
    @app.get(
        path,
        dependencies=[Depends(guard.admin)],
        responses=responses(*_NOT_ALLOWED, answer=GuestModeState),
    )
    async def read_guest_mode() -> JSONObject:
        return guard.guest_mode.as_json()

    @app.put(
        f"{path}/guest-mode",
        responses=responses(*_NOT_ALLOWED, *FORM_ERRORS, answer=GuestModeChange),
        openapi_extra=form_body(_GuestModeForm),
    )
    async def write_guest_mode(request: Request) -> JSONObject:
        claims = await guard.admin(request)
        form = await read_form(request, _GuestModeForm)
        guard.guest_mode.set(enabled=form.guest_mode, user_id=claims.user_id if claims else None)
        return {"guest_mode": form.guest_mode, "message": "Configuration updated successfully"}
