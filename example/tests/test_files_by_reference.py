"""Files that the server reads in place: nothing is uploaded, and whatever it does not read is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from PIL import Image

from cl_client.exceptions import ServerUnavailableError
from cl_client.local import LocalServer
from cl_client.testing import FaultyServer
from cl_client_cli.batch.manifest import BatchManifest
from cl_client_cli.batch.server import batch_connection
from cl_client_cli.frame.options import DEFAULT_CONNECTION, JobOptions
from cl_client_cli.frame.own_server import folders_of
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.settings.path_map import PathMap
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.job_outcome import JobRequest
from cl_client_cli.tasks.server_paths import ServerPaths
from cl_client_cli.tasks.task_params import task_params
from command_lines import json_objects, rest_of, said_until
from patience import SECONDS, soon

if TYPE_CHECKING:
    from collections.abc import Generator
    from subprocess import CompletedProcess

    from cl_client import JobResponse, JSONObject
    from command_lines import RunCLI, StartCLI

IN_PLACE = "read in place by the server"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The shared folder with three pictures, one of them in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "2019").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "2019/c.png")):
        Image.new("RGB", (16, 16), (number, 0, 99)).save(folder / name)
    return folder


@pytest.fixture
def sharing(photos: Path, temp_folder: Path, cli_environment: dict[str, str]) -> Generator[LocalServer]:
    """A server that shares the pictures, and also the commands' own temporary folder."""
    with LocalServer(workers=1, shared=[photos, temp_folder]) as server:
        _know(server, cli_environment)
        yield server


def _know(server: LocalServer | FaultyServer, environment: dict[str, str]) -> None:
    environment["COMPUTE_SERVER_URL"] = server.base_url
    environment["MQTT_BROKER_HOST"] = server.mqtt_url


def _uploads(server: LocalServer) -> list[str]:
    """The names of the files that jobs have brought."""
    return sorted(file.name for file in server.data_dir.glob("jobs/*/input/*"))


def _jobs(shown: CompletedProcess[str], server: LocalServer) -> dict[str, JSONObject]:
    """The parameters of the jobs that a command has run, by the names of their files."""
    assert shown.returncode == 0, shown.stderr
    told = {str(it["input"]): str(it["job_id"]) for it in json_objects(shown)}
    return {name: _params(server, job_id) for name, job_id in told.items()}


def _params(server: LocalServer, job_id: str) -> JSONObject:
    job = cast("dict[str, JSONObject]", httpx.get(f"{server.base_url}/jobs/{job_id}").json())
    return job["params"]


def test_a_shared_folder_needs_no_upload(
    run_cli: RunCLI, sharing: LocalServer, photos: Path, work_folder: Path
) -> None:
    shown = run_cli("media-thumbnail", "generate", photos, "-r", "-d", "out", "--json")
    jobs = _jobs(shown, sharing)
    assert {name: it["input_absolute_path"] for name, it in jobs.items()} == {name: name for name in jobs}
    assert f"3 of 3 succeeded, 3 {IN_PLACE}" in shown.stderr
    assert not _uploads(sharing)
    out = work_folder / "out"
    names = ["2019/c.thumbnail.jpg", "a.thumbnail.jpg", "b.thumbnail.jpg"]
    assert sorted(str(file.relative_to(out)) for file in out.rglob("*.jpg")) == [
        *map(os.path.normpath, names)
    ]
    # The ledger knows the files as if they had been uploaded.
    listed = json_objects(run_cli("jobs", "list", "--json"))
    assert {str(it["source"]) for it in listed} == {*jobs}
    assert "3 already up to date" in run_cli("media-thumbnail", "generate", photos, "-r", "-d", "out").stderr
    job_id = str(listed[0]["job_id"])
    assert run_cli("jobs", "get", job_id[:8], "--json").returncode == 0
    assert sorted(it.name for it in photos.rglob("*.*")) == ["a.png", "b.png", "c.png"]


def test_uploads_on_request(run_cli: RunCLI, sharing: LocalServer, photos: Path) -> None:
    shown = run_cli("hash", "compute", photos, "--upload")
    assert shown.stderr.endswith("2 of 2 succeeded\n")
    assert _uploads(sharing) == ["a.png", "b.png"]


def test_files_elsewhere_and_standard_input_are_uploaded(
    run_cli: RunCLI, sharing: LocalServer, photos: Path, work_folder: Path
) -> None:
    (work_folder / "other.txt").write_text("other")
    (work_folder / "link.png").symlink_to(photos / "a.png")
    shown = run_cli("hash", "compute", "other.txt", "link.png", photos / "b.png", "-", "--json", stdin="text")
    assert _uploads(sharing) == ["other.txt", "stdin"]
    assert f"4 of 4 succeeded, 2 {IN_PLACE}" in shown.stderr
    jobs = _jobs(shown, sharing)
    assert jobs["link.png"]["input_absolute_path"] == str(photos / "a.png")


def test_empty_files_are_called_empty(run_cli: RunCLI, sharing: LocalServer, photos: Path) -> None:
    (photos / "a.png").write_bytes(b"")
    shown = run_cli("hash", "compute", photos / "a.png", "--json")
    (told,) = json_objects(shown)
    assert (told["status"], "empty" in str(told["error"])) == ("failed", True)
    assert not _uploads(sharing)


def test_a_file_that_differs_on_the_server_is_uploaded(
    run_cli: RunCLI, sharing: LocalServer, photos: Path, work_folder: Path
) -> None:
    copies = work_folder / "nas"
    copies.mkdir()
    for name in ("a.png", "b.png"):
        (copies / name).write_bytes((photos / name).read_bytes())
    os.utime(copies / "a.png", (1, 1))
    there = (photos / "b.png").stat()
    os.utime(copies / "b.png", (there.st_atime, there.st_mtime))
    mapped = ("--path-map", f"nas={photos}")
    shown = run_cli("hash", "compute", "nas", *mapped, "--json")
    jobs = _jobs(shown, sharing)
    assert jobs[str(Path("nas", "b.png"))]["input_absolute_path"] == str(photos / "b.png")
    assert _uploads(sharing) == ["a.png"]
    assert f"2 of 2 succeeded, 1 {IN_PLACE}" in shown.stderr
    assert shown.stderr.count("1 file was uploaded, because the server did not read it in place: ") == 1
    assert f"The server has a different file at {photos / 'a.png'} (HTTP 409)" in shown.stderr


def test_folders_of_the_settings_file(
    run_cli: RunCLI, sharing: LocalServer, photos: Path, work_folder: Path
) -> None:
    (work_folder / "nas").symlink_to(photos / "2019")
    pairs = f'{{ "nas" = "{photos.as_posix()}/2019", "/elsewhere" = "/other" }}'
    (work_folder / "cl-client.toml").write_text(f"path_map = {pairs}\n")
    shown = run_cli("hash", "compute", "nas", "--json")
    (job,) = _jobs(shown, sharing).values()
    assert job["input_absolute_path"] == str(photos / "2019" / "c.png")
    assert not _uploads(sharing)
    settings = {it["name"]: it["value"] for it in json_objects(run_cli("config", "show", "--json"))}
    assert settings["path_map"] == f"{work_folder / 'nas'}={photos / '2019'}, /elsewhere=/other"


def test_what_is_not_shared_is_named(
    run_cli: RunCLI, sharing: LocalServer, photos: Path, work_folder: Path
) -> None:
    (work_folder / "a.txt").write_text("a")
    shown = run_cli("hash", "compute", "a.txt", "--path-map", ".=/volume1/photo")
    assert shown.returncode == 0
    assert f"it shares {photos}, " in shown.stderr
    assert "and not /volume1/photo\n" in shown.stderr
    assert _uploads(sharing) == ["a.txt"]


@pytest.mark.usefixtures("at_server")
def test_a_server_that_shares_nothing_gets_uploads(run_cli: RunCLI, photos: Path) -> None:
    shown = run_cli("hash", "compute", photos / "a.png", photos / "b.png", "--path-map", f"{photos}=/photos")
    assert shown.returncode == 0
    assert (
        "2 files were uploaded, because the server did not read them in place: it shares no" in shown.stderr
    )
    assert "2 of 2 succeeded\n" in shown.stderr
    assert run_cli("hash", "compute", photos, "-r").stderr == "3 of 3 succeeded\n"


@pytest.mark.parametrize("text", ["/mnt/nas", "=/photos", "/mnt/nas=photos", "/mnt/nas="])
def test_a_pair_of_folders_has_two(run_cli: RunCLI, photos: Path, text: str) -> None:
    shown = run_cli("hash", "compute", photos, "--path-map", text, "-s", "http://127.0.0.1:9")
    assert shown.returncode == 2
    assert "LOCAL=SERVER" in shown.stderr


def test_the_temporary_server_reads_in_place(
    run_cli: RunCLI, photos: Path, work_folder: Path, temp_folder: Path
) -> None:
    (work_folder / "far").mkdir()
    (work_folder / "far" / "link.png").symlink_to(photos / "a.png")
    inputs = ("far/link.png", photos / "b.png", photos / "2019")
    shown = run_cli("exif", "extract", *inputs, "-", "--local", stdin="text")
    assert shown.returncode == 0, shown.stderr
    assert f"4 of 4 succeeded, 3 {IN_PLACE}" in shown.stderr
    assert run_cli("exif", "extract", photos, "--local", "--upload").stderr.endswith("2 of 2 succeeded\n")
    assert not [*temp_folder.iterdir()]


def test_a_batch_on_temporary_servers(run_cli: RunCLI, photos: Path, work_folder: Path) -> None:
    command = ("batch", "submit", photos, "-r", "-t", "hash", "-d", "out", "--local", "--report", "r.html")
    shown = run_cli(*command)
    assert f"3 done, 3 {IN_PLACE}" in shown.stderr
    (work_folder / "out" / "a.hash.json").unlink()
    Image.new("RGB", (16, 16), "red").save(photos / "b.png")
    resumed = run_cli("batch", "resume", "out")
    assert resumed.returncode == 0, resumed.stderr
    assert f"2 done, 2 {IN_PLACE}, 1 already done before" in resumed.stderr
    assert "a.png" in (work_folder / "r.html").read_text()
    (photos / "b.png").touch()
    assert "3 already done before" in run_cli("batch", "resume", "out").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
async def test_a_batch_that_was_killed_finds_its_jobs_again(
    run_cli: RunCLI,
    start_cli: StartCLI,
    photos: Path,
    work_folder: Path,
    cli_environment: dict[str, str],
) -> None:
    server = LocalServer(workers=1, shared=[photos])
    async with FaultyServer(server) as faulty:
        _know(faulty, cli_environment)
        held = faulty.hold_job()
        mapped = ("--path-map", f"{photos}={photos}")
        with start_cli(
            "batch", "submit", str(photos), "-r", "-t", "hash", "-d", "out", "--watch", *mapped
        ) as process:
            await soon(held.reached())
            for _ in range(2):
                await asyncio.to_thread(said_until, process, "hash queued")
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        held.release()
        resumed = await asyncio.to_thread(run_cli, "batch", "resume", "out")
        assert resumed.returncode == 0, resumed.stderr
        assert not _uploads(server)
        async with faulty.client() as client:
            assert (await client.admin.storage()).job_count == 3
    with BatchManifest.open(work_folder / "out") as manifest:
        assert [item.state for item in manifest.items()] == ["done"] * 3
        assert batch_connection(manifest, DEFAULT_CONNECTION).path_map == (f"{photos}={photos}",)


async def test_files_that_change_and_move_while_their_jobs_wait(
    start_cli: StartCLI, photos: Path, cli_environment: dict[str, str]
) -> None:
    async with FaultyServer(LocalServer(workers=1, shared=[photos])) as faulty:
        _know(faulty, cli_environment)
        held = faulty.hold_job()
        async with faulty.client() as client:
            await client.hash.compute(b"x")
            await soon(held.reached())
        with start_cli("hash", "compute", str(photos), "-r", "--watch", "--json") as process:
            for _ in range(3):
                await asyncio.to_thread(said_until, process, "hash queued")
            Image.new("RGB", (9, 9)).save(photos / "a.png")
            (photos / "b.png").rename(photos / "moved.png")
            held.release()
            told, errors = await asyncio.to_thread(rest_of, process)
    assert process.returncode == 1
    assert "1 of 3 succeeded" in errors
    assert "a.png has changed since the job was submitted; submit it again" in told
    assert "No shared file" in told


async def test_a_restarted_server_goes_on_in_place(
    start_cli: StartCLI, photos: Path, cli_environment: dict[str, str]
) -> None:
    for number in range(60):
        Image.new("RGB", (16, 16), (number, 99, 0)).save(photos / f"{number}.png")
    server = LocalServer(workers=1, shared=[photos])
    async with FaultyServer(server) as faulty:
        _know(faulty, cli_environment)
        with start_cli(
            "batch", "submit", str(photos), "-t", "hash", "-d", "out", "-c", "2", "--json"
        ) as process:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            await faulty.restart()  # it has a new share key
            rest = (await asyncio.to_thread(rest_of, process))[1]
        assert process.returncode == 0, rest
        assert not _uploads(server)
    assert f"62 done, 62 {IN_PLACE}" in rest


@dataclass
class _Steps:
    """What a submission went through."""

    steps: list[str] = field(default_factory=list[str])

    def sent(self) -> None:
        self.steps.append("sent")

    def refused(self) -> None:
        self.steps.append("refused")

    def accepted(self, job: JobResponse) -> None:
        self.steps.append(job.task_type)

    def upload(self, done: int, total: int | None) -> None:
        self.steps.append(f"{done} of {total}")

    def update(self, job: JobResponse) -> None:
        raise AssertionError(job)


async def test_what_may_have_arrived_is_known(photos: Path, tmp_path: Path) -> None:
    (photos / "a.txt").write_text("abc")
    request = JobRequest(photos / "a.txt", "hash", task_params("hash", {}), None, "a.txt")
    options = JobOptions(timeout=SECONDS)
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger, LocalServer(workers=1, shared=[photos]) as server:
        async with server.client() as client, client.with_options(max_retries=0) as client:
            engine = JobEngine(client, ledger, options, ServerPaths(client))
            steps = _Steps()
            await engine.submit(request, steps, steps)
            assert steps.steps == ["0 of 0", "sent", "hash"]

            other = PathMap.of({str(photos): str(photos / "2019")}, "here")
            (photos / "2019" / "a.txt").write_text("different")
            engine = JobEngine(client, ledger, options, ServerPaths(client, other))
            steps = _Steps()
            await engine.submit(request, steps, steps)
            assert steps.steps == ["0 of 0", "sent", "refused", "3 of 3", "sent", "hash"]

            await asyncio.to_thread(server.stop)
            steps = _Steps()
            with pytest.raises(ServerUnavailableError):
                await engine.submit(request, steps, steps)
            assert not steps.steps


def test_few_folders_are_shared(tmp_path: Path) -> None:
    years = [tmp_path / "photos" / f"{year}" / f"{day}" for year in range(3) for day in range(20)]
    for folder in (*years, tmp_path / "far"):
        folder.mkdir(parents=True)
    files = [folder / "a.png" for folder in (*years, tmp_path / "far")]
    near = [tmp_path / "photos" / f"{year}" for year in range(3)]
    assert folders_of(files) == sorted([tmp_path / "far", *near])
    assert folders_of([*files, tmp_path / "photos" / "b.png"]) == [tmp_path / "far", tmp_path / "photos"]
    assert folders_of([]) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--share", "nowhere"), "--share nowhere: no such folder"),
        (("--share", "a.txt"), "--share a.txt: not a folder"),
        (("--share", ".", "--host", "0.0.0.0"), "--share requires --auth with --host 0.0.0.0"),  # noqa: S104 - on purpose
    ],
)
def test_folders_that_a_server_cannot_share(
    run_cli: RunCLI, work_folder: Path, options: tuple[str, ...], words: str
) -> None:
    (work_folder / "a.txt").write_text("a")
    shown = run_cli("server", *options)
    assert (shown.returncode, words in shown.stderr) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
def test_a_server_names_what_it_shares(
    start_cli: StartCLI, run_cli: RunCLI, photos: Path, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    (work_folder / "own").mkdir()
    ports = ("--port", "0", "--mqtt-port", "0", "--workers", "1")
    with start_cli("server", *ports, "--share", str(photos), "--share", "own", "--json") as process:
        assert process.stdout is not None
        said = cast("dict[str, str | list[str]]", json.loads(process.stdout.readline()))
        assert said["shared"] == [str(photos), str(work_folder / "own")]
        cli_environment["COMPUTE_SERVER_URL"] = str(said["base_url"])
        cli_environment["MQTT_BROKER_HOST"] = str(said["mqtt_url"])
        assert f"2 {IN_PLACE}" in run_cli("hash", "compute", photos).stderr
        process.send_signal(signal.SIGINT)
        rest_of(process)
    with start_cli("server", *ports, "--share", str(photos), "--share", "own") as process:
        said_until(process, "Ctrl-C")
        process.send_signal(signal.SIGINT)
        shown = rest_of(process)[0]
    assert f"Shared     {photos}" in shown
