"""The nine plugin groups, run as commands against a server that has every task."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import signal
import socket
import sys
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image, ImageChops

from cl_client.local import LocalServer
from command_lines import json_objects, rest_of, said_until

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client import JSONObject
    from cl_client.testing import FaultyServer, HeldJob
    from command_lines import RunCLI, StartCLI


pytestmark = pytest.mark.usefixtures("at_server")


def test_one_file_prints_its_result(run_cli: RunCLI, samples: Path) -> None:
    shown = run_cli("hash", "compute", samples / "drawing.png", "--algorithm", "md5")
    digest = hashlib.md5((samples / "drawing.png").read_bytes(), usedforsecurity=False).hexdigest()
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"{digest}  md5\n", "")


@pytest.mark.parametrize(
    ("command", "suffix"),
    [
        (["clip-embedding", "embed"], ".clip.npy"),
        (["dino-embedding", "embed", "--no-normalize"], ".dino.npy"),
        (["face-embedding", "embed"], ".face.npy"),
        (["exif", "extract", "--tag", "Make"], ".exif.json"),
        (["face-detection", "detect", "--confidence-threshold", "0.5"], ".faces.json"),
        (["hash", "compute"], ".hash.json"),
        (["image-conversion", "convert", "--format", "webp", "--quality", "50"], ".webp"),
        (
            ["media-thumbnail", "generate", "--width", "64", "--height", "48", "--no-maintain-aspect-ratio"],
            ".thumbnail.jpg",
        ),
    ],
)
def test_every_task_keeps_its_result(
    run_cli: RunCLI, samples: Path, work_folder: Path, command: list[str], suffix: str
) -> None:
    shown = run_cli(*command, samples / "astronaut.jpg", "--output-dir", "out", "--json")
    assert shown.returncode == 0, shown.stderr
    (told,) = json_objects(shown)
    result = work_folder / "out" / f"astronaut{suffix}"
    assert result.stat().st_size
    assert told["status"] == "completed"
    assert cast("list[str]", told["files"])[0] == f"out/astronaut{suffix}"
    if suffix.endswith(".npy"):
        output = cast("dict[str, list[float]]", told["output"])
        vector = cast("NDArray[np.float32]", np.load(result))
        assert np.allclose(vector, output["embedding"])


def test_a_video_becomes_a_stream(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    shown = run_cli("hls-streaming", "generate-manifest", samples / "clip.mp4", "--variant", "180:300")
    assert shown.returncode == 0, shown.stderr
    assert "1 variant" in shown.stdout
    assert list((work_folder / "clip.hls").rglob("*.m3u8"))


def test_faces_are_marked_on_a_copy(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    shown = run_cli("face-detection", "detect", samples / "astronaut.jpg", "--annotate", "marked.png")
    assert shown.returncode == 0, shown.stderr
    with Image.open(samples / "astronaut.jpg") as before, Image.open(work_folder / "marked.png") as after:
        assert before.size == after.size
        changed = ImageChops.difference(before.convert("RGB"), after)
        box = changed.getbbox()
    assert box is not None
    assert 0 < (box[2] - box[0]) * (box[3] - box[1]) < 512 * 512 / 4
    many = run_cli("face-detection", "detect", samples, "--annotate", "marked")
    assert many.returncode == 0, many.stderr
    marked = {path.name for path in (work_folder / "marked").iterdir()}
    assert {"astronaut.faces.jpg", "portrait.faces.jpg"} <= marked
    # Two are called portrait, and neither takes the other's place.
    assert len(marked) == len([path for path in samples.iterdir() if path.suffix != ".mp4"])


def test_results_that_are_there_are_not_made_again(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    for name in ("photo.jpg", "other/photo.jpg", "photo.png"):
        (work_folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(
            samples / ("drawing.png" if name.endswith("png") else "astronaut.jpg"), work_folder / name
        )
    command = ("media-thumbnail", "generate", ".", "-r", "-d", "out")
    first = run_cli(*command)
    made = sorted(str(path.relative_to(work_folder)) for path in (work_folder / "out").rglob("*.jpg"))
    assert made == ["out/other/photo.thumbnail.jpg", "out/photo-png.thumbnail.jpg", "out/photo.thumbnail.jpg"]
    assert "3 of 3 succeeded" in first.stderr
    again = run_cli("media-thumbnail", "generate", "photo.jpg", "photo.png", "other", "-d", "out", "--json")
    assert (again.returncode, again.stdout) == (0, "")
    assert "3 already up to date" in again.stderr
    other_size = run_cli("media-thumbnail", "generate", "photo.jpg", "-d", "out", "--width", "32")
    assert "photo.jpg" in other_size.stdout  # it was made with other parameters
    forced = run_cli("media-thumbnail", "generate", "photo.jpg", "-d", "out", "--force", "--quiet")
    assert "photo.jpg" in forced.stdout
    assert forced.stderr == ""


def test_a_result_that_was_not_fetched_is_not_taken_for_the_one_that_is_there(
    run_cli: RunCLI, samples: Path, work_folder: Path
) -> None:
    command = ("media-thumbnail", "generate", samples / "drawing.png", "-d", "out")

    def width() -> int:
        with Image.open(work_folder / "out/drawing.thumbnail.jpg") as picture:
            return picture.width

    run_cli(*command, "--width", "64")
    job_id = run_cli(*command, "--width", "32", "--no-wait").stdout.strip()
    run_cli("jobs", "wait", job_id)
    assert (run_cli("jobs", "list", "--status", "completed", "--limit", 2**70).returncode, width()) == (0, 64)
    assert "1 already up to date" in run_cli(*command, "--width", "64").stderr
    made = run_cli(*command, "--width", "32", "--json")
    assert (made.returncode, made.stderr, width()) == (0, "", 32)
    # Nor does a job that was deleted at the server cease to be the maker of what it left.
    run_cli("jobs", "delete", str(json_objects(made)[0]["job_id"]))
    assert "1 already up to date" in run_cli(*command, "--width", "32").stderr
    run_cli(*command, "--width", "64")
    assert width() == 64


def test_a_result_of_another_file_is_left_alone(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    for name in ("a", "b"):
        (work_folder / name).mkdir()
        shutil.copy(samples / "drawing.png", work_folder / name)
    command = ("hash", "compute", "-d", "out", "--json")
    first, second = (json_objects(run_cli(*command, f"{name}/drawing.png")) for name in ("a", "b"))
    assert first[0]["files"] == ["out/drawing.hash.json"]
    assert second[0]["files"] == ["out/drawing-png.hash.json"]
    (work_folder / "a").rename(work_folder / "c")
    moved = json_objects(run_cli(*command, "c/drawing.png"))
    assert moved[0]["files"] == ["out/drawing.hash.json"]  # what it was made of is no longer there


def test_a_folder_that_grows_and_has_its_results_in_it(
    run_cli: RunCLI, samples: Path, work_folder: Path
) -> None:
    """Nothing is made twice, and nothing of what was made."""
    for year in ("2024", "2025"):
        (work_folder / "p" / year).mkdir(parents=True)
    shutil.copy(samples / "drawing.png", work_folder / "p/2024/a.png")
    convert = ("image-conversion", "convert", "--format", "webp", "-d", "p")
    assert "webp" in run_cli(*convert, "p", "-r").stdout
    generate = ("media-thumbnail", "generate", "p", "-r", "-d", "p", "--json")
    (first,) = json_objects(run_cli(*generate))
    assert first["files"] == ["p/2024/a.thumbnail.jpg"]
    shutil.copy(samples / "astronaut.jpg", work_folder / "p/2025/a.jpg")
    (second,) = json_objects(run_cli(*generate))
    assert second["files"] == ["p/2025/a.thumbnail.jpg"]
    again = run_cli("media-thumbnail", "generate", "p/2024/../2025/a.jpg", "-d", "p/2025")
    assert (again.stdout, "1 already up to date" in again.stderr) == ("", True)
    named = json_objects(run_cli("hash", "compute", "p/2024/a.webp", "--json"))
    assert [it["status"] for it in named] == ["completed"]


def test_one_bad_picture_does_not_end_the_others(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    (work_folder / "bad.jpg").write_bytes(b"not a picture")
    shown = run_cli("media-thumbnail", "generate", "bad.jpg", samples / "drawing.png", "--json")
    assert shown.returncode == 1
    by_name = {str(told["input"]).rpartition("/")[2]: told for told in json_objects(shown)}
    assert by_name["bad.jpg"]["status"] == "failed"
    assert by_name["bad.jpg"]["error"]
    assert by_name["drawing.png"]["status"] == "completed"
    assert "bad.jpg" in shown.stderr
    assert "1 of 2 succeeded, 1 failed" in shown.stderr


def test_inputs_from_a_list_and_from_standard_input(
    run_cli: RunCLI, samples: Path, work_folder: Path
) -> None:
    (work_folder / "list.txt").write_text(f"{samples}/*.jpg\n\n{samples / 'drawing.png'}\n")
    listed = run_cli("hash", "compute", "@list.txt", "--json")
    assert len(json_objects(listed)) == 4
    named = run_cli("hash", "compute", "@-", stdin=f"{samples / 'drawing.png'}\n")
    assert named.stdout.endswith("sha512_image (pixels)\n")
    twice = run_cli("hash", "compute", "-", "-", stdin="some text")
    assert (twice.returncode, "give '-' once" in twice.stderr) == (2, True)
    content = run_cli("hash", "compute", "-", "--json", stdin="some text")
    (told,) = json_objects(content)
    assert told["input"] == "-"
    expected = hashlib.sha512(b"some text").hexdigest()
    output = cast("dict[str, str]", told["output"])
    assert (output["hash_value"], output["hashed"]) == (expected, "bytes")


def test_a_result_goes_where_it_is_sent(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    to_file = run_cli("hash", "compute", samples / "drawing.png", "-o", "it.json")
    assert to_file.returncode == 0
    to_stdout = run_cli("hash", "compute", samples / "drawing.png", "-o", "-", "--quiet")
    kept, printed = (
        cast("JSONObject", json.loads(text))
        for text in ((work_folder / "it.json").read_text(), to_stdout.stdout)
    )
    assert kept["hash_value"] == printed["hash_value"]


def test_a_server_that_is_not_there(run_cli: RunCLI, samples: Path, unused_port: int) -> None:
    shown = run_cli("hash", "compute", samples / "drawing.png", "-s", f"http://127.0.0.1:{unused_port}")
    assert shown.returncode == 3
    assert "cannot be reached" in shown.stderr


def test_first_contact(run_cli: RunCLI, samples: Path, cli_environment: dict[str, str]) -> None:
    for name in ("COMPUTE_SERVER_URL", "MQTT_BROKER_HOST"):
        del cli_environment[name]
    with socket.socket() as probe:
        if not probe.connect_ex(("localhost", 8002)):
            pytest.skip("this machine has a server at the default address")
    shown = run_cli("hash", "compute", samples / "drawing.png")
    assert shown.returncode == 3
    assert len(shown.stderr.splitlines()) == 2
    assert "--local" in shown.stderr
    local = run_cli("hash", "compute", samples / "drawing.png", "--local")
    assert local.returncode == 0, local.stderr
    assert local.stdout.endswith("sha512_image (pixels)\n")


def test_without_a_login(run_cli: RunCLI, samples: Path, cli_environment: dict[str, str]) -> None:
    with LocalServer(auth=True, workers=1, tasks=["hash"]) as server:
        cli_environment["COMPUTE_SERVER_URL"] = server.base_url
        shown = run_cli("hash", "compute", samples / "drawing.png", "--mqtt", "off")
    assert shown.returncode == 4
    assert "cl-client login" in shown.stderr


def test_progress_is_told_when_it_is_asked_for(run_cli: RunCLI, samples: Path) -> None:
    shown = run_cli("exif", "extract", samples / "mountains.jpg", "--watch", "-vv")
    assert "Canon" in shown.stdout
    assert shown.stderr.count("exif completed 100 %") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
@pytest.mark.parametrize("delete", [True, False])
async def test_what_becomes_of_an_unfinished_job_after_an_interrupt(
    *,
    start_cli: StartCLI,
    samples: Path,
    faulty_server: FaultyServer,
    held_worker: HeldJob,
    delete: bool,
) -> None:
    async with faulty_server.client() as client:
        before = (await client.admin.storage()).job_count
        options = ("--delete-on-cancel",) if delete else ()
        with start_cli("hash", "compute", str(samples / "drawing.png"), "--watch", *options) as process:
            await asyncio.to_thread(said_until, process, "hash queued")
            process.send_signal(signal.SIGINT)
            errors = (await asyncio.to_thread(rest_of, process))[1]
        left = (await client.admin.storage()).job_count - before
    held_worker.release()
    assert process.returncode == 130
    assert left == (0 if delete else 1)
    words = "have been deleted on the server" if delete else "continue on the server"
    assert words in errors
