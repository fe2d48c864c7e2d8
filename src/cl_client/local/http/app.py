"""The HTTP interface of a local server, identical on the wire to a CL Server's."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, Response

from cl_client._transfers.references import SHARES_PATH
from cl_client.local.auth.form_fields import read_form
from cl_client.local.http.admin_forms import CleanupQuery, GuestModeForm
from cl_client.local.http.job_form import FormRules, receive_job
from cl_client.local.jobs.folders import NoJobFolderError, OutsideJobFolderError
from cl_client.local.web import (
    InvalidFieldsError,
    application,
    json_answer,
    no_content,
    path_value,
    read_query,
    route,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Route
    from starlette.types import ASGIApp

    from cl_client.local.auth.guard import Guard
    from cl_client.local.auth.guest_mode import GuestMode
    from cl_client.local.http.share_access import ShareAccess
    from cl_client.local.jobs.service import JobService
    from cl_client.local.jobs.store import StoredJob
    from cl_client.models import JSONObject

_OCTET_STREAM = "application/octet-stream"


class _JobFile(FileResponse):
    chunk_size = 1024 * 1024
    """Starlette reads each 64 KiB in a call in a thread, which takes three times as much CPU time."""


def create_app(service: JobService, guard: Guard, shares: ShareAccess | None = None) -> Starlette:
    """Make the application of the compute service.

    Args:
        service: Runs and stores the jobs.
        guard: Checks the tokens of the requests.
        shares: What jobs may read on the server's disk; None for nothing.

    Returns:
        The application with all routes of the server's generation.
    """
    guest_mode_path = service.settings.dialect.guest_mode_path

    def make_document() -> ASGIApp:
        from cl_client.local.http.documentation import document_app

        return document_app(service.tasks, service.settings.dialect, shares=shares is not None)

    return application(
        [
            *_status_routes(service, guard.guest_mode),
            *_job_routes(service, guard, shares),
            _file_route(service, guard),
            *([] if shares is None else [_shares_route(shares)]),
            *_admin_routes(service, guard),
            *([] if guest_mode_path is None else _guest_mode_routes(guard, guest_mode_path)),
        ],
        make_document,
    )


def _status_routes(service: JobService, guest_mode: GuestMode) -> Sequence[Route]:
    dialect = service.settings.dialect
    # Generation A looks for its workers only at the first request.
    unasked = dialect.late_capabilities and service.settings.strict_wire

    async def health(_request: Request) -> Response:
        answer: JSONObject = {"status": "healthy", "service": "Task Server", "version": "v1"}
        if dialect.tells_auth_required:
            answer["auth_required"] = not guest_mode.enabled
        if dialect.guest_mode_path is not None:
            answer["guestMode"] = "on" if guest_mode.enabled else "off"
        return json_answer(answer)

    async def capabilities(_request: Request) -> Response:
        nonlocal unasked
        if unasked:
            unasked = False
            return json_answer({"num_workers": 0, "capabilities": {}})
        return json_answer(service.capabilities())

    return [route("GET", "/", health), route("GET", "/capabilities", capabilities)]


def _shares_route(shares: ShareAccess) -> Route:
    async def shared_folders(request: Request) -> Response:
        await shares.user(request)
        return json_answer(shares.announcement())

    return route("GET", SHARES_PATH, shared_folders)


def _job_routes(service: JobService, guard: Guard, shares: ShareAccess | None) -> Sequence[Route]:
    async def get_job(request: Request) -> Response:
        _ = await guard.job_user(request)
        return json_answer(await _known_job(service, path_value(request, "job_id")))

    async def delete_job(request: Request) -> Response:
        _ = await guard.job_user(request)
        job_id = path_value(request, "job_id")
        if not await service.delete(job_id):
            raise _no_such_job(job_id)
        return no_content()

    async def create_job(request: Request) -> Response:
        task_type = path_value(request, "task_type")
        if task_type not in service.tasks:
            # Real servers have one POST route per task. For other names this is a path with other methods, of
            # which Starlette names the first route's.
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET"})
        _ = await guard.job_user(request)
        rules = FormRules(
            task_type,
            service.tasks[task_type],
            service.settings.max_upload_bytes,
            takes_path=task_type in service.settings.dialect.path_tasks,
            shares=shares,
        )
        try:
            job = await service.submit(task_type, partial(receive_job, request, rules))
        except InvalidFieldsError as exc:
            return _refusal(exc, service.tasks[task_type].crashes_on)
        return json_answer({"job_id": job.job_id, "status": job.status, "task_type": job.task_type})

    return [
        route("GET", "/jobs/{job_id}", get_job),
        route("DELETE", "/jobs/{job_id}", delete_job),
        route("POST", "/jobs/{task_type}", create_job),
    ]


def _refusal(error: InvalidFieldsError, crashes_on: AbstractSet[str]) -> Response:
    """Refuse a form; if only fields are invalid that real servers do not check in time, crash as they do."""
    checked = [fault for fault in error.faults if cast("Sequence[str]", fault["loc"])[1] not in crashes_on]
    if checked:
        raise InvalidFieldsError(checked)
    # uvicorn closes the connection after an exception.
    return PlainTextResponse(
        "Internal Server Error", HTTPStatus.INTERNAL_SERVER_ERROR, headers={"Connection": "close"}
    )


def _file_route(service: JobService, guard: Guard) -> Route:
    async def get_job_file(request: Request) -> Response:
        _ = await guard.job_user(request)
        job_id, file_path = path_value(request, "job_id"), path_value(request, "file_path")
        await _known_job(service, job_id)
        try:
            file = await service.file(job_id, file_path)
        except OutsideJobFolderError:
            raise HTTPException(HTTPStatus.FORBIDDEN, "Access denied: path traversal detected") from None
        except NoJobFolderError:
            detail = f"Job directory not found for job {job_id}"
            raise HTTPException(HTTPStatus.NOT_FOUND, detail) from None
        except FileNotFoundError:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"File not found: {file_path}") from None
        except IsADirectoryError:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"Path is not a file: {file_path}") from None
        response = _JobFile(
            file.path, media_type=_OCTET_STREAM, filename=file.path.name, stat_result=file.state
        )
        if file.content is None or "range" in request.headers:
            return response
        return Response(file.content, headers=response.headers)

    return route("GET", "/jobs/{job_id}/files/{file_path:path}", get_job_file)


async def _known_job(service: JobService, job_id: str) -> StoredJob:
    job = await service.get(job_id)
    if job is None:
        raise _no_such_job(job_id)
    return job


def _no_such_job(job_id: str) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"Job {job_id} not found")


def _admin_routes(service: JobService, guard: Guard) -> Sequence[Route]:
    async def storage_size(request: Request) -> Response:
        _ = await guard.admin(request)
        return json_answer(await service.storage())

    async def cleanup(request: Request) -> Response:
        _ = await guard.admin(request)
        return json_answer(await service.cleanup(read_query(request, CleanupQuery).days))

    return [
        route("GET", "/admin/jobs/storage/size", storage_size),
        route("DELETE", "/admin/jobs/cleanup", cleanup),
    ]


def _guest_mode_routes(guard: Guard, path: str) -> Sequence[Route]:
    async def read_guest_mode(request: Request) -> Response:
        _ = await guard.admin(request)
        return json_answer(guard.guest_mode.as_json())

    async def write_guest_mode(request: Request) -> Response:
        claims = await guard.admin(request)
        form = await read_form(request, GuestModeForm)
        guard.guest_mode.set(enabled=form.guest_mode, user_id=claims.user_id if claims else None)
        return json_answer({"guest_mode": form.guest_mode, "message": "Configuration updated successfully"})

    return [route("GET", path, read_guest_mode), route("PUT", f"{path}/guest-mode", write_guest_mode)]
