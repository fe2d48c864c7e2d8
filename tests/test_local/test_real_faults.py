"""`LocalServer(real_faults=True)` fails where real servers fail, in their words. By default it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import pytest
from PIL import Image

from cl_client.local import LocalServer
from cl_client.local.generations import DIALECTS, Generation
from cl_client.local.real_faults import REAL_FAULTS
from cl_client.local.samples import draw_photo, draw_video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.test_local.conftest import Caller

    from cl_client.local.tasks import TaskSpec

BEFORE_C2: Final = frozenset({"A", "A1", "A2", "B", "C"})
ALL: Final = frozenset(DIALECTS)
NO_HEIGHT: Final = json.dumps([{"resolution": None, "bitrate": 500}])
NO_BITRATE: Final = json.dumps([{"resolution": 120}])
NEITHER: Final = "[{}]"


class Failure(NamedTuple):
    """A job that fails on real servers of these generations, with these words."""

    task: str
    name: str
    generations: frozenset[str]
    words: str
    fields: dict[str, str] = {}  # noqa: RUF012 - never changed


C2_PHOTO = (
    "Unsupported media type: ('image/{}', <MediaType.IMAGE: 'image'>). Only image and video are supported."
)
FAILURES: Final = [
    Failure("media_thumbnail", "clip.mp4", BEFORE_C2, "Input file not found: input/clip.mp4"),
    Failure("media_thumbnail", "RGBA.png", BEFORE_C2, "cannot write mode RGBA as JPEG"),
    Failure("media_thumbnail", "P.gif", BEFORE_C2, "cannot write mode P as JPEG"),
    Failure("media_thumbnail", "I16.png", BEFORE_C2, "cannot write mode I;16 as JPEG"),
    Failure("media_thumbnail", "photo.jpg", frozenset({"C2"}), C2_PHOTO.format("jpeg")),
    Failure("media_thumbnail", "RGBA.png", frozenset({"C2"}), C2_PHOTO.format("png")),
    Failure("hash", "long.mp4", BEFORE_C2, "No data returned from ffprobe."),
    Failure("hash", "photo.jpg", frozenset({"C2"}), "name 'logger' is not defined"),
    Failure("hash", "photo.jpg", frozenset({"C2"}), "name 'logger' is not defined", {"algorithm": "md5"}),
    Failure("image_conversion", "LA.png", ALL, "cannot write mode LA as JPEG", {"format": "jpg"}),
    Failure("image_conversion", "CMYK.jpg", ALL, "cannot write mode CMYK as PNG", {"format": "png"}),
    Failure("image_conversion", "LA.png", ALL, "cannot write mode LA as BMP", {"format": "bmp"}),
    Failure("hls_streaming", "clip.mp4", ALL, "FFmpeg command failed", {"variants": NO_BITRATE}),
    Failure(
        "hls_streaming",
        "clip.mp4",
        ALL,
        "the stream generated adaptive-orig.m3u8 is either invalid or partial or corrupted",
        {"variants": NO_HEIGHT},
    ),
    Failure(
        "hls_streaming",
        "clip.mp4",
        ALL,
        "original should be generated using addOriginal",
        {"variants": NEITHER},
    ),
]
SUCCESSES: Final[list[tuple[str, str, dict[str, str]]]] = [
    ("hash", "short.mp4", {}),
    ("hash", "long.mp4", {"algorithm": "md5"}),
    ("media_thumbnail", "photo.jpg", {}),
    ("media_thumbnail", "L.png", {}),
    ("image_conversion", "RGBA.png", {"format": "jpg"}),
    ("image_conversion", "P.gif", {"format": "jpg"}),
    ("image_conversion", "CMYK.jpg", {"format": "webp"}),
    ("hls_streaming", "clip.mp4", {"variants": json.dumps([{"resolution": 120, "bitrate": 500}])}),
]
BAD_VARIANTS: Final = ["", "[", "{}", "[]", '[{"bitrate": 99}]', '[{"resolution": "tall"}]', "720"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that are sent, by their names."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_photo(folder / "photo.jpg", size=(64, 48))
    draw_video(folder / "clip.mp4", seconds=1)
    draw_video(folder / "short.mp4", seconds=0.1, size=(64, 48))
    assert (folder / "short.mp4").read_bytes().index(b"moov") < 20_000
    draw_video(folder / "long.mp4", seconds=8)
    assert (folder / "long.mp4").read_bytes().index(b"moov") > 40_000
    for mode, name in (("RGBA", "RGBA.png"), ("LA", "LA.png"), ("L", "L.png"), ("CMYK", "CMYK.jpg")):
        Image.new(mode, (32, 24)).save(folder / name)
    Image.new("P", (32, 24)).save(folder / "P.gif")
    Image.new("I;16", (32, 24)).save(folder / "I16.png")
    return folder


@pytest.mark.parametrize("generation", ["A", "C", "C2"])
def test_jobs_that_fail_on_real_servers(generation: Generation, drawn: Path, call: type[Caller]) -> None:
    with LocalServer(workers=2, generation=generation, real_faults=True) as server, call(server) as caller:
        failures = [failure for failure in FAILURES if generation in failure.generations]
        jobs = [
            caller.submit(one.task, name=one.name, content=(drawn / one.name).read_bytes(), **one.fields)
            for one in failures
        ]
        ended = [caller.ended(job) for job in jobs]
    assert [job["status"] for job in ended] == ["error"] * len(failures)
    assert [job["error_message"] for job in ended] == [failure.words for failure in failures]
    assert [job["task_output"] for job in ended] == [None] * len(failures)


@pytest.mark.parametrize("generation", DIALECTS)
def test_each_generation_has_the_faults_that_are_tested_here(generation: Generation) -> None:
    server = LocalServer(generation=generation, real_faults=True)
    failing = {failure.task for failure in FAILURES if generation in failure.generations}
    assert failing == {name for name, task in server.settings.offered_tasks.items() if task.checks}


def test_jobs_that_complete_on_real_servers(drawn: Path, call: type[Caller]) -> None:
    with LocalServer(workers=2, real_faults=True) as server, call(server) as caller:
        jobs = [
            caller.submit(task, name=name, content=(drawn / name).read_bytes(), **fields)
            for task, name, fields in SUCCESSES
        ]
        outcomes = [caller.outcome(job) for job in jobs]
        stream = caller.job(jobs[-1])
        default = caller.job(caller.submit("hls_streaming"))
    assert outcomes == ["completed"] * len(SUCCESSES)
    params = stream["params"]
    assert isinstance(params, dict)
    assert params["variants"] == [{"resolution": 120, "bitrate": 500}]
    params = default["params"]
    assert isinstance(params, dict)
    assert params["variants"] == [{"resolution": 720, "bitrate": 3500}, {"resolution": 480, "bitrate": 1500}]


def test_without_the_option_the_same_jobs_complete(drawn: Path, call: type[Caller]) -> None:
    with LocalServer(workers=2) as server, call(server) as caller:
        submitted = {
            (one.task, one.name): caller.submit(
                one.task, name=one.name, content=(drawn / one.name).read_bytes(), **one.fields
            )
            for one in FAILURES
            if one.task != "hls_streaming"
        }
        outcomes = {key: caller.outcome(job) for key, job in submitted.items()}
        assert outcomes == dict.fromkeys(submitted, "completed")
        for variants in (NO_HEIGHT, NO_BITRATE, NEITHER):
            files = {"file": ("clip.mp4", b"x")}
            refused = caller.http.post("/jobs/hls_streaming", data={"variants": variants}, files=files)
            assert refused.status_code == 422


@pytest.mark.parametrize("real_faults", [False, True])
def test_invalid_variants(real_faults: bool, call: type[Caller]) -> None:  # noqa: FBT001 - a case
    file = {"file": ("clip.mp4", b"x")}
    with LocalServer(workers=1, real_faults=real_faults) as server, call(server) as caller:
        for variants in BAD_VARIANTS:
            answer = caller.http.post("/jobs/hls_streaming", data={"variants": variants}, files=file)
            if variants == "":  # as if the field was not sent
                assert answer.status_code == 200
            elif real_faults:
                assert (answer.status_code, answer.text) == (500, "Internal Server Error"), variants
                assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            else:
                assert answer.json()["detail"][0]["loc"][:2] == ["body", "variants"], variants
        # A field that real servers check before, or a file that is missing, is named as always.
        files = {"other": ("x", b"x")}
        answer = caller.http.post(
            "/jobs/hls_streaming", data={"variants": "[]", "priority": "11"}, files=files
        )
        detail = cast("list[dict[str, list[str]]]", answer.json()["detail"])
        named = {"file", "priority"} if real_faults else {"file", "priority", "variants"}
        assert {fault["loc"][1] for fault in detail} == named
        assert len(list((server.data_dir / "jobs").iterdir())) == 1
        assert list((server.data_dir / "uploads").iterdir()) == []


def test_cleanup_deletes_jobs_that_have_not_ended(
    scripted: dict[str, TaskSpec], call: type[Caller], eventually: Callable[[Callable[[], object]], None]
) -> None:
    for real_faults, deleted in ((False, 0), (True, 1)):
        server = LocalServer(workers=1, extra_tasks=scripted, real_faults=real_faults)
        with server, call(server) as caller:
            server.stop_workers()
            caller.submit()
            eventually(lambda caller=caller: caller.read("/admin/jobs/cleanup", "DELETE", days=0) or True)
            left = caller.read("/admin/jobs/storage/size")["job_count"]
            assert left == 1 - deleted


@pytest.mark.parametrize("real_faults", [False, True])
def test_jobs_that_ran_when_the_server_stopped(
    real_faults: bool,  # noqa: FBT001 - a case
    tmp_path: Path,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    def started() -> LocalServer:
        return LocalServer(
            workers=1, extra_tasks=scripted, real_faults=real_faults, data_dir=tmp_path / "data"
        )

    gate = tmp_path / "gate"
    with started() as server, call(server) as caller:
        job = caller.submit(gate=str(gate))
        eventually(lambda: caller.has_status(job, "processing"))
    gate.touch()
    with started() as server, call(server) as caller:
        later = caller.submit()
        assert caller.outcome(later) == "completed"
        assert caller.job(job)["status"] == ("processing" if real_faults else "completed")


def test_the_table_names_tasks_and_functions_that_exist() -> None:
    assert {fault.task for fault in REAL_FAULTS} - {"*"} <= LocalServer().settings.offered_tasks.keys()
    assert len({fault.name for fault in REAL_FAULTS}) == len(REAL_FAULTS)
