"""`cl-client batch`: once through, and through everything that can go wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from PIL import Image

from cl_client.local import LocalServer
from cl_client_cli.batch.locks import running, working
from cl_client_cli.batch.manifest import BatchManifest
from command_lines import json_objects, rest_of, said_until

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import JSONObject
    from command_lines import RunCLI, StartCLI


pytestmark = pytest.mark.usefixtures("at_server")


def _draw(folder: Path, count: int) -> None:
    """Pictures that are all different."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (16, 16), (number % 256, number // 256, 99)).save(folder / f"{number:03}.png")


def _job_count(server: LocalServer) -> int:
    usage = cast("dict[str, int]", httpx.get(f"{server.base_url}/admin/jobs/storage/size").json())
    return usage["job_count"]


def test_tasks_on_a_folder(run_cli: RunCLI, samples: Path, work_folder: Path, at_server: LocalServer) -> None:
    before = _job_count(at_server)
    command = ("batch", "submit", samples, "-t", "exif", "-t", "media-thumbnail", "-t", "face_detection")
    params = ("--param", "media_thumbnail.width=32", "-d", "out")
    shown = run_cli(*command, *params, "--json", "--report", "report.html")
    assert shown.returncode == 0, shown.stderr
    told = json_objects(shown)
    assert len(told) == _job_count(at_server) - before == 17  # no faces are looked for in the video
    assert all(it["status"] == "completed" for it in told)
    with Image.open(work_folder / "out" / "drawing.thumbnail.jpg") as picture:
        assert picture.width == 32
    assert "astronaut.jpg" in (work_folder / "report.html").read_text()

    again = run_cli(*command, *params)
    assert again.returncode == 0
    assert "0 of 17 jobs are new" in again.stderr
    assert "17 already done before" in again.stderr
    (work_folder / "out" / "drawing.exif.json").unlink()
    assert "To resume: cl-client batch resume out" in run_cli("batch", "status", "-d", "out").stderr
    assert "1 done, 16 already done before" in run_cli("batch", "resume", "out").stderr
    assert _job_count(at_server) - before == 18
    assert "exif" in run_cli("batch", "status", "out").stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jobs.json", '{"jobs": [{"input": "a.png", "task": "hash", "params": {"algorithm": "md5"}}]}'),
        ("jobs.yaml", "- {input: a.png, task: hash, params: {algorithm: md5}, output: a.hash.json}\n"),
        ("jobs.csv", "input,task,algorithm,output\na.png,hash,md5,\n"),
    ],
)
def test_specifications(run_cli: RunCLI, work_folder: Path, name: str, text: str) -> None:
    folder = work_folder / "specification"
    _draw(folder, 1)
    (folder / "000.png").rename(folder / "a.png")
    (folder / name).write_text(text)
    shown = run_cli("batch", "submit", folder / name, "-d", "out", "--quiet")
    assert shown.returncode == 0, shown.stderr
    result = cast("JSONObject", json.loads((work_folder / "out" / "a.hash.json").read_text()))
    assert result["algorithm"] == "md5"


def test_the_same_content_is_sent_once(run_cli: RunCLI, work_folder: Path, at_server: LocalServer) -> None:
    _draw(work_folder / "in", 1)
    for name in ("b.png", "c.png"):
        (work_folder / "in" / name).write_bytes((work_folder / "in" / "000.png").read_bytes())
    before = _job_count(at_server)
    shown = run_cli("batch", "submit", "in", "-t", "media-thumbnail", "-d", "out", "--json")
    assert "3 done, 2 of them copied" in shown.stderr
    assert [it["status"] for it in json_objects(shown)] == ["completed"] * 3
    assert _job_count(at_server) - before == 1
    assert len(list((work_folder / "out").glob("*.jpg"))) == 3


def test_a_copy_touches_no_other_result(run_cli: RunCLI, work_folder: Path) -> None:
    _draw(work_folder / "in", 3)
    for name, number in (("photo.jpg", 0), ("zopy.jpg", 0), ("photo/x.jpg", 1), ("zopy/x.png", 2)):
        place = work_folder / "in" / name
        place.parent.mkdir(exist_ok=True)
        Image.open(work_folder / "in" / f"{number:03}.png").convert("RGB").save(place)
    convert = ("-t", "image-conversion", "--param", "image_conversion.format=png")
    shown = run_cli("batch", "submit", "in", "-r", *convert, "-d", "out", "-c", "1")
    assert shown.returncode == 0, shown.stderr
    assert (work_folder / "out" / "zopy.png").read_bytes() == (work_folder / "out" / "photo.png").read_bytes()
    with Image.open(work_folder / "out" / "zopy" / "x.png") as picture:
        assert picture.getpixel((0, 0)) == (2, 0, 99)


def test_faces_that_were_cut_out_are_copied_too(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    (work_folder / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (work_folder / "in" / name).write_bytes((samples / "astronaut.jpg").read_bytes())
    shown = run_cli("batch", "submit", "in", "-t", "face-detection", "-d", "out", "--json")
    assert "1 of them copied" in shown.stderr
    there = [set((work_folder / "out" / f"{name}.faces").iterdir()) for name in ("a", "b")]
    assert there[0]
    assert {file.name for file in there[0]} == {file.name for file in there[1]}
    copied = json_objects(shown)[1]["files"]  # whichever of the two was not the first
    assert isinstance(copied, list)
    assert {work_folder / str(file) for file in copied[1:]} in there


def test_a_copy_that_cannot_be_made_fails_alone(run_cli: RunCLI, work_folder: Path, unused_port: int) -> None:
    _draw(work_folder / "in", 1)
    content = (work_folder / "in" / "000.png").read_bytes()
    for name in ("b.png", "sub/c.png", "z.png"):
        (work_folder / "in" / name).parent.mkdir(exist_ok=True)
        (work_folder / "in" / name).write_bytes(content)
    nowhere = ("-s", f"http://127.0.0.1:{unused_port}", "--mqtt", "off", "--give-up-after", "0")
    run_cli("batch", "submit", "in", "-r", "-t", "media-thumbnail", "-d", "out", *nowhere)
    (work_folder / "out" / "b.thumbnail.jpg").mkdir()
    (work_folder / "out" / "sub").write_text("in the way")
    with LocalServer(workers=1, tasks=["media_thumbnail"]) as server:
        shown = run_cli("batch", "resume", "out", "-c", "1", "-s", server.base_url, "--mqtt", "off")
    assert shown.returncode == 1
    assert "2 done, 1 of them copied from files with the same content, 2 failed" in shown.stderr
    assert list((work_folder / "out" / "b.thumbnail.jpg").iterdir()) == []


def test_a_file_that_has_changed_is_run_again(
    run_cli: RunCLI, work_folder: Path, at_server: LocalServer
) -> None:
    _draw(work_folder / "in", 2)
    file, result = work_folder / "in" / "000.png", work_folder / "out" / "000.hash.json"
    command = ("batch", "submit", "in", "-t", "hash", "-d", "out")
    assert run_cli(*command).returncode == 0
    before, jobs = result.read_text(), _job_count(at_server)
    os.utime(file, (1, 1))
    assert "0 done, 2 already done before" in run_cli(*command).stderr
    file.write_bytes(b"something else")
    again = run_cli(*command)
    assert "0 of 2 jobs are new" in again.stderr
    assert "1 done, 1 already done before" in again.stderr
    assert result.read_text() != before
    assert _job_count(at_server) == jobs + 1
    file.unlink()
    assert "0 done, 2 already done before" in run_cli("batch", "resume", "-d", "out").stderr


def test_a_file_that_was_mended_is_run_again(run_cli: RunCLI, work_folder: Path) -> None:
    _draw(work_folder / "in", 1)
    good = (work_folder / "in" / "000.png").read_bytes()
    (work_folder / "in" / "000.png").write_bytes(b"no picture")
    command = ("batch", "submit", "in", "-t", "media-thumbnail", "-d", "out")
    assert "1 failed" in run_cli(*command).stderr
    (work_folder / "in" / "000.png").write_bytes(good)
    assert "1 done" in run_cli(*command).stderr


def test_a_batch_is_found_from_elsewhere_and_where_it_was_moved_to(
    run_cli: RunCLI, work_folder: Path, at_server: LocalServer
) -> None:
    _draw(work_folder / "in", 2)
    assert run_cli("batch", "submit", "in", "-t", "hash", "-d", "out").returncode == 0
    jobs = _job_count(at_server)
    assert "0 done, 2 already done before" in run_cli("batch", "resume", work_folder / "out").stderr
    (work_folder / "out").rename(work_folder / "kept")
    (work_folder / "kept" / "001.hash.json").unlink()
    assert "1 done, 1 already done before" in run_cli("batch", "resume", "kept").stderr
    assert (work_folder / "kept" / "001.hash.json").is_file()
    assert _job_count(at_server) == jobs + 1


def test_results_are_no_inputs_and_go_over_none(run_cli: RunCLI, work_folder: Path) -> None:
    _draw(work_folder / "in", 1)
    original = work_folder / "in" / "000.png"
    before = original.read_bytes()
    convert = ("-t", "image-conversion", "--param", "image_conversion.format=png", "-d", "in")
    for new in (1, 0):
        shown = run_cli("batch", "submit", "in", "-r", *convert)
        assert f"{new} of 1 job is new" in shown.stderr
    assert original.read_bytes() == before
    assert (work_folder / "in" / "000-png.png").is_file()
    named = run_cli("batch", "submit", "in/000-png.png", "-t", "hash", "-d", "in")
    assert "1 done" in named.stderr


def test_what_is_added_later_takes_nobodys_place(run_cli: RunCLI, work_folder: Path) -> None:
    for name in ("a", "b"):
        _draw(work_folder / name, 1)
    command = ("-t", "media-thumbnail", "-d", "out", "--json")
    places = [
        json_objects(run_cli("batch", "submit", *more, *command))[0]["files"]
        for more in (["a"], ["b"], ["a", "--param", "media_thumbnail.width=8"])
    ]
    assert places == [
        ["out/000.thumbnail.jpg"],
        ["out/000-png.thumbnail.jpg"],
        ["out/000-png-2.thumbnail.jpg"],
    ]
    again = run_cli("batch", "submit", "b", *command)
    assert "0 of 1 job is new" in again.stderr


def test_failures_are_grouped_and_not_repeated(
    run_cli: RunCLI, work_folder: Path, at_server: LocalServer
) -> None:
    _draw(work_folder / "in", 2)
    for number in range(7):
        (work_folder / "in" / f"{number}").mkdir()
        (work_folder / "in" / f"{number}" / "bad.png").write_bytes(f"no picture {number}".encode())
    shown = run_cli("batch", "submit", "in", "-r", "-t", "media-thumbnail", "-d", "out", "--report", "r.html")
    assert shown.returncode == 1
    assert "7 failed" in shown.stderr
    assert f"({os.path.join('0', 'bad.png')}, " in shown.stderr  # noqa: PTH118 - as text
    assert "To retry failed jobs: cl-client batch resume out --retry-failed" in shown.stderr
    assert "0/bad.png" in (work_folder / "r.html").read_text()
    before = _job_count(at_server)
    assert run_cli("batch", "resume", "out").returncode == 1
    assert _job_count(at_server) == before
    assert run_cli("batch", "resume", "out", "--retry-failed").returncode == 1
    assert _job_count(at_server) == before + 7
    told = json_objects(run_cli("batch", "status", "out", "--json"))
    assert (told[0]["done"], told[0]["failed"], len(told)) == (2, 7, 8)
    assert "media_thumbnail: " in run_cli("batch", "status", "out").stdout


def test_empty_files_fail_for_one_reason(run_cli: RunCLI, work_folder: Path) -> None:
    """Each error names its file, which the command has named already."""
    for name in ("a.jpg", "b.jpg"):
        (work_folder / name).touch()
    reason = "the file is empty, there is nothing to process"
    done = run_cli("batch", "submit", "a.jpg", "b.jpg", "-t", "hash", "-d", "out")
    assert f"cl-client: hash: {reason} (a.jpg, b.jpg)\n" in done.stderr
    apart = run_cli("hash", "compute", "a.jpg", "b.jpg", "-c", "1")
    assert f"cl-client: a.jpg: hash failed: {reason}\n" in apart.stderr
    assert "cl-client: b.jpg: hash failed: same reason as a.jpg\n" in apart.stderr


def test_a_hint_leads_to_something(run_cli: RunCLI, work_folder: Path, unused_port: int) -> None:
    _draw(work_folder / "in", 2)
    nowhere = ("-s", f"http://127.0.0.1:{unused_port}", "--mqtt", "off", "--give-up-after", "0")
    run_cli("batch", "submit", "in", "-t", "hash", "-d", "out", *nowhere)
    first, second = (work_folder / "in" / f"{number:03}.png" for number in range(2))
    first.unlink()
    first.mkdir()
    assert "1 failed" in run_cli("batch", "resume", "out", *nowhere).stderr
    both = run_cli("batch", "status", "out").stderr
    assert "cl-client batch resume out; add --retry-failed to retry permanent failures" in both
    second.unlink()
    run_cli("batch", "resume", "out", *nowhere)
    shown = run_cli("batch", "status", "out").stderr
    assert "To retry failed jobs: cl-client batch resume out --retry-failed" in shown
    first.rmdir()
    first.write_bytes(b"something")
    assert "To resume: cl-client batch resume out; add" in run_cli("batch", "status", "out").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_interrupted_goes_on(
    run_cli: RunCLI, start_cli: StartCLI, work_folder: Path, at_server: LocalServer, number: signal.Signals
) -> None:
    _draw(work_folder / "in", 120)
    before = _job_count(at_server)
    command = ("batch", "submit", "in", "-t", "media-thumbnail", "-d", "out", "-c", "2", "--json")
    with start_cli(*command) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(number)
        process.wait()
        errors = process.stderr.read() if process.stderr else ""
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "cl-client batch resume out" in errors
    out = work_folder / "out"
    with BatchManifest.open(out) as manifest, working(out, lambda: None):
        assert not [item for item in manifest.items() if item.state == "submitting"]
        left = sum(item.state != "done" for item in manifest.items())
    assert 0 < left < 120
    shown = run_cli("batch", "resume", "out")
    assert shown.returncode == 0, shown.stderr
    assert f"{left} done, {120 - left} already done before" in shown.stderr
    assert _job_count(at_server) - before == 120
    assert len(list((work_folder / "out").glob("*.jpg"))) == 120


def test_a_reader_that_leaves_ends_nothing(start_cli: StartCLI, work_folder: Path) -> None:
    _draw(work_folder / "in", 30)
    with start_cli("batch", "submit", "in", "-t", "hash", "-d", "out", "--json", "-c", "2") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.wait() == 0, errors
    assert "30 done" in errors


def test_two_processes_do_not_run_the_same_batch(
    run_cli: RunCLI, start_cli: StartCLI, work_folder: Path
) -> None:
    _draw(work_folder / "in", 1)
    assert run_cli("batch", "submit", "in", "-t", "hash", "-d", "out").returncode == 0
    with running(work_folder / "out"):
        shown = run_cli("batch", "resume", "out")
    assert shown.returncode == 2
    assert "is already running in another process" in shown.stderr
    waits: list[str] = []
    with (
        working(work_folder / "out", lambda: waits.append("no")),
        start_cli("batch", "resume", "out") as later,
    ):
        assert later.stderr is not None
        assert "an earlier run of this batch to end" in later.stderr.readline()
    assert not waits


def test_a_server_that_goes_and_comes_back(
    run_cli: RunCLI, start_cli: StartCLI, work_folder: Path, unused_port: int
) -> None:
    _draw(work_folder / "in", 30)
    address = f"http://127.0.0.1:{unused_port}"
    command = ("batch", "submit", "in", "-t", "hash", "-d", "out", "-s", address, "--mqtt", "off")
    gone = run_cli(*command, "--give-up-after", "0")
    assert gone.returncode == 3
    assert "cannot be reached" in gone.stderr
    assert "To resume: cl-client batch resume out" in gone.stderr
    with start_cli(*command) as process:
        said_until(process, "does not respond")
        with LocalServer(port=unused_port, workers=1, tasks=["hash"]):
            rest = rest_of(process)[1]
    assert process.returncode == 0, rest
    assert "The server is back" in rest
    assert "30 done" in rest


def test_a_job_that_the_server_forgot_is_submitted_again(
    run_cli: RunCLI, work_folder: Path, at_server: LocalServer
) -> None:
    del at_server
    _draw(work_folder / "in", 1)
    assert run_cli("batch", "submit", "in", "-t", "hash", "-d", "out", "--no-wait").returncode == 0
    with BatchManifest.open(work_folder / "out") as manifest:
        (item,) = manifest.items()
        manifest.submitted(item, "no-such-job")
    shown = run_cli("batch", "resume", "out")
    assert "1 done" in shown.stderr


def test_a_batch_stays_at_its_server_until_it_is_told_to_move(
    run_cli: RunCLI,
    work_folder: Path,
    at_server: LocalServer,
    cli_environment: dict[str, str],
    unused_port: int,
) -> None:
    _draw(work_folder / "in", 2)
    assert run_cli("batch", "submit", "in", "-t", "hash", "-d", "out", "--no-wait").returncode == 0
    with BatchManifest.open(work_folder / "out") as manifest:
        manifest.submitted(next(manifest.items()), "one-that-never-ends")
    cli_environment["COMPUTE_SERVER_URL"] = f"http://127.0.0.1:{unused_port}"
    assert f"Server of this batch: {at_server.base_url}" in run_cli("batch", "status", "out").stderr
    with BatchManifest.open(work_folder / "out") as manifest:
        kept = cast("JSONObject", json.loads(manifest.facts()["connection"]))
    assert (kept["server"], kept["mqtt"]) == (at_server.base_url, at_server.mqtt_url)
    with LocalServer(workers=1, tasks=["hash"]) as other:
        moved = run_cli("batch", "resume", "out", "-s", other.base_url, "--mqtt", "off")
        assert moved.returncode == 0, moved.stderr
        assert f"2 jobs that {at_server.base_url} had not finished" in moved.stderr
        assert _job_count(other) == 2
        (work_folder / "out" / "000.hash.json").unlink()
        again = run_cli("batch", "resume", "out")  # the environment has still another server
        assert "1 done, 1 already done before" in again.stderr
        assert _job_count(other) == 3
    local = run_cli("batch", "resume", "out", "--local")
    assert "2 already done before" in local.stderr


def test_a_report_is_written_by_every_run_and_at_any_time(run_cli: RunCLI, work_folder: Path) -> None:
    _draw(work_folder / "in", 1)
    page = work_folder / "r.html"
    assert run_cli("batch", "submit", "in", "-t", "hash", "-d", "out", "--report", page.name).returncode == 0
    page.unlink()
    assert run_cli("batch", "resume", "out").returncode == 0
    assert "000.png" in page.read_text()
    made = run_cli("batch", "report", "out", "--json")
    assert json_objects(made) == [{"report": "out/report.html"}]
    assert (work_folder / "out" / "report.html").read_text().count("<article") == 1
    more = ("--param", "hash.algorithm=md5", "-d", "out")
    assert run_cli("batch", "submit", "in", "-t", "hash", *more).returncode == 0
    assert "hash (algorithm md5)" in page.read_text()
    assert "sha512" in page.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes for a name")
def test_names_that_are_no_unicode(run_cli: RunCLI, work_folder: Path) -> None:
    _draw(work_folder / "in", 1)
    name = os.fsdecode(b"caf\xe9.png")  # Latin 1, as on old disks
    (work_folder / "in" / "000.png").rename(work_folder / "in" / name)
    shown = run_cli("batch", "submit", "in", "-t", "exif", "-d", "out", "--json", "--report", "r.html")
    (told,) = json_objects(shown)
    assert (told["status"], told["files"]) == ("completed", ["out/caf.exif.json"])
    assert str(told["input"]).endswith(r"caf\udce9.png")
    assert r"caf\udce9.png" in (work_folder / "r.html").read_text()
    assert "1 already done before" in run_cli("batch", "resume", "out").stderr
    assert r"caf\udce9.png" in run_cli("jobs", "list").stdout
    alone = run_cli("hash", "compute", f"in/{name}", "-d", "hashes")
    assert alone.returncode == 0, alone.stderr
    assert "1 already up to date" in run_cli("hash", "compute", f"in/{name}", "-d", "hashes").stderr
