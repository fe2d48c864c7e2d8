"""The local server's HTTP interface, compared with what was recorded from a CL Server."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, cast

import pytest

from cl_client.local import LocalServer
from cl_client.local.generations import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.test_local.conftest import Caller

    from cl_client.local import Generation
    from cl_client.local.tasks import TaskSpec

RECORDED_JOB_KEYS = [
    "job_id",
    "task_type",
    "status",
    "progress",
    "params",
    "task_output",
    "error_message",
    "priority",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
]


def test_a_completed_job_looks_as_recorded(caller: Caller) -> None:
    accepted = caller.post("hash", [("file", ("photo.jpg", b"hello"))], algorithm="md5")
    job = caller.ended(str(accepted["job_id"]))

    assert accepted == {"job_id": job["job_id"], "status": "queued", "task_type": "hash"}
    assert list(job) == RECORDED_JOB_KEYS
    assert job["params"] == {
        "input_path": "input/photo.jpg",
        "output_path": "output/hash.json",
        "algorithm": "md5",
    }
    assert (job["status"], job["progress"], job["error_message"]) == ("completed", 100, None)
    assert job["task_output"] == {"media_type": "text"}
    assert job["updated_at"] == job["created_at"]
    assert isinstance(job["started_at"], int)
    assert isinstance(job["completed_at"], int)
    result = caller.read(f"/jobs/{job['job_id']}/files/output/hash.json")
    assert result["hash_value"] == "5d41402abc4b2a76b9719d911017c592"


def test_params_are_typed_json_and_not_form_texts(caller: Caller) -> None:
    exif = caller.job(caller.submit("exif"))["params"]
    thumbnail = caller.job(caller.submit("media_thumbnail", width="128"))["params"]
    conversion = caller.job(caller.submit("image_conversion", name="a.b.png", format="jpeg"))["params"]

    assert exif == {"input_path": "input/photo.jpg", "output_path": "output/exif_metadata.json", "tags": []}
    assert thumbnail == {
        "input_path": "input/photo.jpg",
        "output_path": "output/thumbnail.jpg",
        "width": 128,
        "height": None,
        "maintain_aspect_ratio": True,
    }
    assert conversion == {
        "input_path": "input/a.b.png",
        "output_path": "output/converted_a.b.jpg",
        "format": "jpeg",
        "quality": 85,
    }


def test_status_and_capabilities(caller: Caller, server: LocalServer) -> None:
    assert caller.http.get("/").json() == {
        "status": "healthy",
        "service": "Task Server",
        "version": "v1",
        "guestMode": "on",
    }
    answer = caller.read("/capabilities")
    assert list(answer) == ["num_workers", "capabilities"]
    assert answer["num_workers"] == server.worker_count == 2
    idle = cast("dict[str, int]", answer["capabilities"])
    assert set(idle) == set(server.task_types)
    assert set(idle.values()) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("fields", "files", "detail"),
    [
        (
            {},
            {},
            [{"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}],
        ),
        (
            {"priority": "55"},
            {"file": ("a", b"x")},
            [
                {
                    "type": "less_than_equal",
                    "loc": ["body", "priority"],
                    "msg": "Input should be less than or equal to 10",
                    "input": "55",
                    "ctx": {"le": 10},
                }
            ],
        ),
        (
            {"algorithm": "crc"},
            {"file": ("a", b"x")},
            [
                {
                    "type": "literal_error",
                    "loc": ["body", "algorithm"],
                    "msg": "Input should be 'sha512' or 'md5'",
                    "input": "crc",
                    "ctx": {"expected": "'sha512' or 'md5'"},
                }
            ],
        ),
    ],
)
def test_bad_forms_are_refused_in_fastapis_words(
    caller: Caller, fields: dict[str, str], files: dict[str, tuple[str, bytes]], detail: list[object]
) -> None:
    # An empty form field keeps httpx sending multipart where there is no file.
    response = caller.http.post("/jobs/hash", data=fields, files=files or {"other": (None, b"x")})
    assert response.status_code == 422
    assert response.json() == {"detail": detail}


def test_every_fault_is_named_at_once(caller: Caller) -> None:
    files = {"file": (None, b"text")}
    data = {"priority": "x", "width": "0", "maintain_aspect_ratio": "maybe"}
    response = caller.http.post("/jobs/media_thumbnail", data=data, files=files)
    detail = cast("list[dict[str, str]]", response.json()["detail"])
    faults = {(fault["loc"][-1], fault["type"]) for fault in detail}
    assert faults == {
        ("file", "value_error"),
        ("priority", "int_parsing"),
        ("width", "greater_than"),
        ("maintain_aspect_ratio", "bool_parsing"),
    }


def test_unknown_things(caller: Caller) -> None:
    assert caller.http.post("/jobs/nope", files={"file": ("a", b"x")}).status_code == 405
    for call in (caller.http.get, caller.http.delete):
        response = call("/jobs/nope")
        assert (response.status_code, response.json()) == (404, {"detail": "Job nope not found"})
    assert caller.http.get("/jobs/nope/files/x").json() == {"detail": "Job nope not found"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"nonsense", "multipart/form-data; boundary=b"),
        (
            b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nhalf",
            "multipart/form-data; boundary=b",
        ),
        (b"--b\r\nno header\r\n\r\n--b--", "multipart/form-data; boundary=b"),
    ],
)
def test_broken_bodies_are_a_400(caller: Caller, body: bytes, content_type: str) -> None:
    response = caller.http.post("/jobs/hash", content=body, headers={"content-type": content_type})
    assert (response.status_code, response.json()) == (400, {"detail": "There was an error parsing the body"})


def test_deleting_a_job_removes_its_files(caller: Caller, server: LocalServer) -> None:
    job_id = caller.submit()
    caller.ended(job_id)
    assert (server.data_dir / "jobs" / job_id / "output" / "result.bin").is_file()
    assert caller.http.delete(f"/jobs/{job_id}").status_code == 204
    assert not (server.data_dir / "jobs" / job_id).exists()
    assert caller.http.get(f"/jobs/{job_id}").status_code == 404


def test_storage_and_cleanup(scripted: dict[str, TaskSpec], call: type[Caller]) -> None:
    with LocalServer(workers=1, extra_tasks=scripted) as server, call(server) as caller:
        assert caller.http.get("/admin/jobs/storage/size").json() == {"total_size": 0, "job_count": 0}
        for _ in range(2):
            caller.ended(caller.submit(content=b"12345"))
        # Each job holds its five bytes as input and as output.
        assert caller.http.get("/admin/jobs/storage/size").json() == {"total_size": 20, "job_count": 2}
        kept = caller.read("/admin/jobs/cleanup", "DELETE")
        assert kept == {"deleted_count": 0, "freed_space": 0}
        gone = caller.read("/admin/jobs/cleanup", "DELETE", days=0)
        assert gone == {"deleted_count": 2, "freed_space": 20}
        assert caller.http.get("/admin/jobs/storage/size").json() == {"total_size": 0, "job_count": 0}


def test_all_jobs_are_deleted_whatever_their_status(
    scripted: dict[str, TaskSpec], call: type[Caller], eventually: Callable[[Callable[[], object]], None]
) -> None:
    with LocalServer(workers=1, extra_tasks=scripted) as server, call(server) as caller:
        caller.ended(caller.submit())
        running = caller.submit(gate=str(server.data_dir / "never"))
        eventually(lambda: caller.has_status(running, "processing"))
        caller.submit()
        server.delete_jobs()
        assert caller.http.get("/admin/jobs/storage/size").json() == {"total_size": 0, "job_count": 0}
        assert list((server.data_dir / "jobs").iterdir()) == []
        assert caller.outcome(caller.submit()) == "completed"


@pytest.mark.parametrize(
    ("generation", "path"),
    [("A2", "/admin/config"), ("B", "/admin/config"), ("C", "/admin/pref"), ("C2", "/admin/pref")],
)
def test_guest_mode_is_where_the_generation_has_it(
    generation: Generation, path: str, call: type[Caller]
) -> None:
    with LocalServer(workers=1, generation=generation) as server, call(server) as caller:
        untouched = caller.read(path)
        assert untouched == {"guest_mode": True, "updated_at": None, "updated_by": None}
        assert list(untouched) == ["guest_mode", "updated_at", "updated_by"]
        answer = caller.http.put(f"{path}/guest-mode", data={"guest_mode": "false"})
        changed = cast("dict[str, object]", answer.json())
        assert changed == {"guest_mode": False, "message": "Configuration updated successfully"}
        assert list(changed) == ["guest_mode", "message"]
        now = caller.read(path)
        assert (now["guest_mode"], now["updated_by"]) == (False, None)
        assert isinstance(now["updated_at"], int)
        assert caller.http.get("/").json()["guestMode"] == "off"
        refused = caller.http.put(f"{path}/guest-mode", data={"guest_mode": "maybe"})
        assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "guest_mode"])


@pytest.mark.parametrize("generation", ["A", "A1"])
def test_generation_a_knows_no_guest_mode_and_learns_late_of_its_workers(
    generation: Generation, call: type[Caller]
) -> None:
    with LocalServer(workers=1, generation=generation) as server, call(server) as caller:
        assert "guestMode" not in caller.http.get("/").json()
        assert caller.http.get("/admin/config").status_code == 404
        assert caller.http.get("/capabilities").json() == {"num_workers": 0, "capabilities": {}}
        assert caller.http.get("/capabilities").json()["num_workers"] == 1


@pytest.mark.parametrize(
    ("generation", "rest"),
    [
        ("A", {}),
        ("A1", {"auth_required": False}),
        ("A2", {"guestMode": "on"}),
        ("B", {"guestMode": "on"}),
        ("C", {"guestMode": "on"}),
        ("C2", {"guestMode": "on"}),
    ],
)
def test_the_status_of_each_generation(
    generation: Generation, rest: dict[str, object], call: type[Caller]
) -> None:
    with LocalServer(workers=1, generation=generation, tasks=["hash"]) as server, call(server) as caller:
        health = caller.read("/")
        assert health == {"status": "healthy", "service": "Task Server", "version": "v1", **rest}
        assert list(health) == ["status", "service", "version", *rest]
        document = caller.read("/openapi.json")
        assert document["info"] == {"title": "Task Server", "version": "v1"}
        page = caller.http.get("/docs")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_generation_a1_says_that_it_requires_a_token(call: type[Caller]) -> None:
    with LocalServer(workers=1, generation="A1", tasks=["hash"], auth=True) as server, call(server) as caller:
        assert caller.read("/")["auth_required"] is True


def test_tasks_of_a2_write_what_later_generations_write() -> None:
    paths = {
        generation: LocalServer(generation=generation).settings.offered_tasks["dino_embedding"].output_path
        for generation in DIALECTS
    }
    assert {generation for generation, path in paths.items() if path == "output/dino_embedding.nb"} == {
        "A",
        "A1",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "header"),
    [
        ("POST", "/jobs/nope", 405, ("allow", "GET")),
        ("PUT", "/jobs/x", 405, ("allow", "GET")),
        ("GET", "/capabilities/", 307, ("location", "/capabilities")),
        ("GET", "/jobs/x/", 307, ("location", "/jobs/x")),
        ("POST", "/jobs/hash/", 307, ("location", "/jobs/hash")),
        ("GET", "/nothing", 404, ("content-type", "application/json")),
    ],
)
def test_paths_and_methods_that_do_not_exist(
    caller: Caller, method: str, path: str, status: int, header: tuple[str, str]
) -> None:
    answer = caller.http.request(method, path)
    assert answer.status_code == status
    name, end = header
    assert answer.headers[name].endswith(end)


def test_a_job_whose_folder_was_removed(caller: Caller, server: LocalServer) -> None:
    job_id = caller.submit()
    caller.ended(job_id)
    shutil.rmtree(server.data_dir / "jobs" / job_id)
    for path in ("output/result.bin", "../x"):
        answer = caller.http.get(f"/jobs/{job_id}/files/{path.replace('/', '%2f')}")
        detail = f"Job directory not found for job {job_id}"
        assert (answer.status_code, answer.json()) == (404, {"detail": detail})


def test_jobs_run_in_parallel_one_per_worker(
    scripted: dict[str, TaskSpec], call: type[Caller], eventually: Callable[[Callable[[], object]], None]
) -> None:
    with LocalServer(workers=2, extra_tasks=scripted) as server, call(server) as caller:
        gate = server.data_dir / "gate"
        jobs = [caller.submit(gate=str(gate)) for _ in range(3)]
        eventually(lambda: all(caller.has_status(job, "processing") for job in jobs[:2]))
        assert caller.has_status(jobs[2], "queued")
        assert caller.read("/capabilities")["capabilities"] == dict.fromkeys(server.task_types, 0)
        gate.touch()
        assert {caller.outcome(job) for job in jobs} == {"completed"}


async def test_a_client_of_the_server_knows_its_addresses(server: LocalServer) -> None:
    async with server.client() as client:
        assert (await client.health()).status == "healthy"
