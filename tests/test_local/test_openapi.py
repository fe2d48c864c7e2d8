"""The servers' OpenAPI documents, and requests made up from them: every answer is one that they document."""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias, cast, get_args

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from cl_client import ComputeClient, JWTAuthProvider
from cl_client.local import LocalServer
from cl_client.local.auth.app import create_auth_app
from cl_client.local.auth.documentation import document_app as auth_document
from cl_client.local.auth.guard import Guard
from cl_client.local.auth.guest_mode import GuestMode
from cl_client.local.auth.service import AuthService
from cl_client.local.auth.settings import AuthSettings
from cl_client.local.generations import Generation
from cl_client.local.http.app import create_app
from cl_client.local.http.documentation import document_app as compute_document
from cl_client.local.http.share_access import ShareAccess
from cl_client.local.jobs.folders import JobFolders
from cl_client.local.jobs.service import JobService
from cl_client.local.jobs.shared_folders import SharedFolders
from cl_client.local.jobs.store import JobStore
from cl_client.local.settings import LocalServerSettings
from cl_client.local.workers.pool import WorkerPool
from cl_client.plugins import PLUGINS, plugin_class
from written_files_task import TASKS, script

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from fastapi import FastAPI
    from hypothesis.strategies import SearchStrategy
    from schemathesis import APIOperation, Case
    from starlette.applications import Starlette

    from cl_client import JSONObject

PathParameters: TypeAlias = "dict[str, object]"

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The same requests in every run.
SETTINGS: Final = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    verbosity=Verbosity.quiet,
)


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    """Its jobs do what their files say, and so next to nothing."""
    with LocalServer(workers=1, tasks=(), extra_tasks=TASKS, auth=True, admin_password="pw") as running:
        yield running


def try_all(
    url: str,
    headers: dict[str, str],
    known: Mapping[str, Sequence[PathParameters]],
) -> set[str]:
    """Make up requests for every operation, right ones and wrong ones, and check the answers.

    Args:
        url: The server.
        headers: Sent with each request.
        known: Path parameters of what is there, by the operation.

    Returns:
        The operations.
    """
    operations: list[APIOperation] = [
        result.ok() for result in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()
    ]
    for operation in operations:
        there = known.get(operation.label, ())
        # A made-up user might be the administrator, and everything ends with that one.
        only_there = operation.label in {"PUT /users/{user_id}", "DELETE /users/{user_id}"}
        for parameters in [*([] if only_there else [None]), *there]:
            try_one(operation.as_strategy(path_parameters=parameters), headers)
        # Nothing can be wrong of a job's id, which may be any text.
        if (operation.body or operation.query) and not only_there:
            try_one(operation.as_strategy(GenerationMode.NEGATIVE), headers)
    return {operation.label for operation in operations}


def try_one(cases: SearchStrategy[Case], headers: dict[str, str]) -> None:
    @SETTINGS
    @given(case=cases)
    def check(case: Case) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    check()


def login(server: LocalServer) -> dict[str, str]:
    """The header of an administrator's requests."""
    answer = httpx.post(f"{server.auth_url}/auth/token", data={"username": "admin", "password": "pw"})
    return {"Authorization": f"Bearer {cast('dict[str, str]', answer.json())['access_token']}"}


async def test_the_compute_service(server: LocalServer) -> None:
    headers = login(server)
    token = JWTAuthProvider(headers["Authorization"].removeprefix("Bearer "))
    async with ComputeClient(server.base_url, mqtt_broker=server.mqtt_url, auth_provider=token) as client:
        contents = (script({"output/hash.json": b"{}"}), script(fail="no such hash"), script())
        jobs = [await client.hash.compute(content, wait=True) for content in contents]
    ids: list[PathParameters] = [{"job_id": job.job_id} for job in jobs]
    completed, failed, deleted = ids
    paths = ("output/hash.json", "output", "../../x", "missing")
    known: dict[str, list[PathParameters]] = {
        "GET /jobs/{job_id}": [completed, failed],
        "DELETE /jobs/{job_id}": [deleted],
        "GET /jobs/{job_id}/files/{file_path}": [{**completed, "file_path": path} for path in paths],
    }
    tried = try_all(server.base_url, headers, known)
    assert {f"POST /jobs/{task}" for task in PLUGINS} < tried
    assert known.keys() < tried


def test_the_auth_service(server: LocalServer) -> None:
    headers = login(server)
    made = httpx.post(f"{server.auth_url}/users/", data={"username": "me", "password": "pw"}, headers=headers)
    ids = (cast("dict[str, int]", made.json())["id"], 10**6)
    users: list[PathParameters] = [{"user_id": user_id} for user_id in ids]
    known = {f"{method} /users/{{user_id}}": users for method in ("GET", "PUT", "DELETE")}
    assert known.keys() < try_all(server.auth_url, headers, known)


@pytest.mark.parametrize("task", PLUGINS)
def test_the_form_of_a_job(server: LocalServer, task: str) -> None:
    """Its fields are those of the plugin's parameters, as a form has them."""
    document = cast("JSONObject", httpx.get(f"{server.base_url}/openapi.json").json())
    form = at(document, "paths", f"/jobs/{task}", "post", "requestBody", "content", "multipart/form-data")
    fields = cast("dict[str, JSONObject]", at(form, "schema", "properties"))
    assert fields["file"] == {"type": "string", "format": "binary"}
    assert (fields["priority"]["minimum"], fields["priority"]["maximum"]) == (0, 10)
    assert fields.keys() - {"file", "priority"} == plugin_class(task).params_model.model_fields.keys()
    assert {str(field["type"]) for field in fields.values()} <= {"string", "integer", "number", "boolean"}


def test_a_server_that_shares_folders(tmp_path: Path) -> None:
    """Its forms document the fields of a reference, and made-up paths have documented answers."""
    with LocalServer(
        workers=1, tasks=("hash", "hls_streaming"), auth=True, admin_password="pw", shared=[tmp_path]
    ) as sharing:
        document = cast("JSONObject", httpx.get(f"{sharing.base_url}/openapi.json").json())
        for task in ("hash", "hls_streaming"):
            route = at(document, "paths", f"/jobs/{task}", "post")
            form = at(route, "requestBody", "content", "multipart/form-data", "schema")
            assert form["required"] == []
            for field, kind in (("absolute_path", "string"), ("size", "integer"), ("modified", "integer")):
                documented = at(form, "properties", f"input_{field}")
                assert (documented["type"], "description" in documented) == (kind, True)
            assert {"404", "409"} < at(route, "responses").keys()
        tried = try_all(sharing.base_url, login(sharing), {})
        assert {"GET /shared-folders", "POST /jobs/hash"} < tried


def at(document: JSONObject, *keys: str) -> JSONObject:
    for key in keys:
        document = cast("JSONObject", document[key])
    return document


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_document_can_be_read_in_a_browser(server: LocalServer, path: str) -> None:
    for url in (server.base_url, server.auth_url):
        page = httpx.get(f"{url}{path}")
        assert page.status_code == 200
        assert "/openapi.json" in page.text


@pytest.mark.parametrize("days", [10**6, 10**18, 10**30])
def test_jobs_older_than_time_itself_are_cleaned_up(server: LocalServer, days: int) -> None:
    answer = httpx.delete(f"{server.base_url}/admin/jobs/cleanup?days={days}", headers=login(server))
    assert answer.json() == {"deleted_count": 0, "freed_space": 0}


@pytest.mark.parametrize("user_id", [10**30, -(10**30)])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_user_id_that_no_user_can_have(server: LocalServer, method: str, user_id: int) -> None:
    answer = httpx.request(method, f"{server.auth_url}/users/{user_id}", headers=login(server))
    assert answer.status_code == 422


def test_a_user_s_time_of_creation_has_no_zone(server: LocalServer) -> None:
    """As on real servers, and so it is not what a schema calls a "date-time"."""
    me = cast("JSONObject", httpx.get(f"{server.auth_url}/users/me", headers=login(server)).json())
    assert datetime.fromisoformat(str(me["created_at"])).tzinfo is None
    document = cast("JSONObject", httpx.get(f"{server.auth_url}/openapi.json").json())
    assert "format" not in at(document, "components", "schemas", "User", "properties", "created_at")


@pytest.mark.parametrize("generation", get_args(Generation))
async def test_every_route_is_documented(tmp_path: Path, generation: Generation) -> None:
    """The document is not made from the routes that answer, so it could forget one."""
    settings = LocalServerSettings(generation=generation)
    store = await JobStore.open(tmp_path / "jobs.sqlite3")
    try:
        workers = WorkerPool([], heartbeat=10)
        service = JobService(settings, store, JobFolders(tmp_path), workers, lambda _job: None)
        guard = Guard(None, GuestMode(enabled=True))
        shares = ShareAccess(SharedFolders(folders=(tmp_path,), private=tmp_path), guard, None)
        for shared in (None, shares):
            served = served_by(create_app(service, guard, shared))
            document = compute_document(service.tasks, settings.dialect, shares=shared is not None)
            served.remove(("POST", "/jobs/{task_type}"))
            assert served | {("POST", f"/jobs/{task}") for task in service.tasks} == described_by(document)
    finally:
        await store.close()


async def test_every_route_of_the_auth_service_is_documented(tmp_path: Path) -> None:
    settings = AuthSettings(port=0, admin_password=SecretStr("pw"), token_lifetime=60, clock_offset=0)
    async with AuthService.open(tmp_path, settings, "id") as service:
        assert served_by(create_auth_app(service)) == described_by(auth_document())


def served_by(app: Starlette) -> set[tuple[str, str]]:
    routes = (
        route for route in app.routes if isinstance(route, Route) and inspect.isfunction(route.endpoint)
    )
    return {(method, route.path) for route in routes for method in route.methods or ()}


def described_by(app: FastAPI) -> set[tuple[str, str]]:
    routes = (route for route in app.routes if isinstance(route, APIRoute))
    return {(method, route.path) for route in routes for method in route.methods or ()}
