"""The compute service's OpenAPI document: its answers, and one POST route per task."""

from __future__ import annotations

import pkgutil
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from typing_extensions import override

from cl_client.local.http.job_form import CommonFields
from cl_client.local.http.share_access import ReferenceFields
from cl_client.local.http.uploads import FILE_FIELD
from cl_client.local.openapi import FORM_ERRORS, form_body, responses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.routing import BaseRoute

    from cl_client.local.tasks import TaskSpec

_SHARE_ERRORS: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_JOB_ERRORS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, *FORM_ERRORS)


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


class DocumentedServer(FastAPI):
    """The application of a server, which serves its document.

    Args:
        tasks: The tasks that it offers.
        path_tasks: The tasks that take a path in place of a file on CL Servers.
        shares: Whether this server takes paths for every task.
    """

    def __init__(self, tasks: Mapping[str, TaskSpec], path_tasks: Sequence[str], *, shares: bool) -> None:
        super().__init__(title="Task Server", version="v1")
        self._tasks = tasks
        self._path_tasks = path_tasks
        self._shares = shares

    @override
    def openapi(self) -> dict[str, object]:
        """Make the document at the first request for it."""
        if self.openapi_schema is None:
            routes = [*self.routes, *self._job_routes()]
            self.openapi_schema = get_openapi(title=self.title, version=self.version, routes=routes)
        return self.openapi_schema

    def _job_routes(self) -> list[BaseRoute]:
        """One POST route per task, to be documented and not to be called."""
        router = APIRouter()
        for task, spec in self._tasks.items():
            models = [CommonFields, cast("type[BaseModel]", pkgutil.resolve_name(spec.params))]
            needs_file = not self._shares and task not in self._path_tasks
            form = form_body(
                *models,
                *([ReferenceFields] if self._shares else []),
                file_field=FILE_FIELD,
                needs_file=needs_file,
            )
            router.post(
                f"/jobs/{task}",
                name=f"create_{task}_job",
                responses=responses(
                    *_JOB_ERRORS, *(_SHARE_ERRORS if self._shares else ()), answer=AcceptedJob
                ),
                openapi_extra=form,
            )(_documented)
        return router.routes


async def _documented() -> None:
    pass
