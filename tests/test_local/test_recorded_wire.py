"""What was recorded from a real server, sent again to a local server that imitates it, answer by answer."""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from PIL import Image
from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter

from cl_client.local import LocalServer
from cl_client.local.real_faults import REAL_FAULTS
from cl_client.local.samples import draw_photo, draw_video
from cl_client.models import JSONObject
from small_models import save_small_models

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import httpx
    from tests.test_local.conftest import Caller, Heard, Listener


class RecordedJob(BaseModel):
    """A job: what was sent, the three answers, and its events."""

    model_config = ConfigDict(extra="forbid")

    file: str
    form: dict[str, str]
    accepted: JSONObject
    queued: JSONObject
    ended: JSONObject
    events: list[tuple[str, int]]

    @property
    def task(self) -> str:
        return str(self.accepted["task_type"])

    @property
    def label(self) -> str:
        return f"{self.task} of {self.file}"


class RecordedRequest(BaseModel):
    """A request that is about no new job."""

    model_config = ConfigDict(extra="forbid")

    method: str
    path: str
    form: dict[str, str] = {}
    file: bool = False
    status: int
    body: JSONObject


class Message(BaseModel):
    """The form of a message."""

    model_config = ConfigDict(extra="forbid")

    topic: str
    retained: bool
    keys: list[str]


class Recording(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid")

    comment: str
    jobs: list[RecordedJob]
    requests: list[RecordedRequest]
    event: Message
    announcement: Message
    around_a_job: list[str]
    around_a_failed_job: list[str]
    without_work: list[str]


RECORDED: Final = Recording.model_validate_json(
    Path(__file__).with_name("recorded_wire.json").read_text(encoding="utf-8")
)
REAL_FOLDER: Final = "/srv/cl_server/compute"
JSON_OBJECT: Final = TypeAdapter(JSONObject)
DEPENDS_ON_THE_FILE: Final = {"total_segments", "quality_score"}
KNOWN: Final = {"face_detection of photo.jpg ended.*": "Models that cannot be downloaded"}
"""The differences that stay, and the row of docs/local-server.md that explains each."""
PAGE: Final = (Path(__file__).parents[2] / "docs" / "local-server.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the recorded names."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_photo(folder / "photo.jpg", size=(1024, 768))
    Image.new("RGB", (64, 48), (90, 40, 40)).save(folder / "photo.png")
    draw_video(folder / "video.mp4", seconds=4)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalServer]:
    """A server like the recorded one: one worker, which looks for work twice a second."""
    models = save_small_models(tmp_path_factory.mktemp("models"))
    with LocalServer(
        generation="A",
        workers=1,
        real_faults=True,
        poll_interval=0.5,
        heartbeat_interval=3600,
        models=models,
    ) as running:
        yield running


def as_recorded(answer: JsonValue, job_id: str, server: LocalServer) -> JsonValue:
    """An answer with what differs in every run replaced, as in the recording."""
    if isinstance(answer, dict):
        return {
            key: 0 if key.endswith("_at") and isinstance(value, int) else as_recorded(value, job_id, server)
            for key, value in answer.items()
        }
    if isinstance(answer, list):
        return [as_recorded(one, job_id, server) for one in answer]
    if isinstance(answer, str):
        return answer.replace(job_id, "JOB").replace(server.data_dir.resolve().as_posix(), REAL_FOLDER)
    return answer


def differences(recorded: JsonValue, here: JsonValue, at: str) -> Iterator[str]:
    """Where an answer differs: in its keys, their order, the types, or a value."""
    if isinstance(recorded, dict) and isinstance(here, dict):
        measured = at.endswith(".raw_metadata")
        yield from (f"{at}.{key}: missing" for key in recorded if key not in here)
        if not measured:
            yield from (f"{at}.{key}: added" for key in here if key not in recorded)
        common = [key for key in recorded if key in here]
        if common != [key for key in here if key in recorded]:
            yield f"{at}: order of keys"
        for key in common:
            if measured or key in DEPENDS_ON_THE_FILE:
                if kind(recorded[key]) != kind(here[key]):
                    yield f"{at}.{key}: {kind(here[key])} in place of {kind(recorded[key])}"
            else:
                yield from differences(recorded[key], here[key], f"{at}.{key}")
    elif isinstance(recorded, list) and isinstance(here, list) and len(recorded) == len(here):
        for number, (one, other) in enumerate(zip(recorded, here, strict=True)):
            yield from differences(one, other, f"{at}[{number}]")
    elif (kind(recorded), recorded) != (kind(here), here):
        yield f"{at}: {json.dumps(here)} in place of {json.dumps(recorded)}"


def kind(value: JsonValue) -> str:
    return "number" if isinstance(value, float) else type(value).__name__.replace("int", "number")


@pytest.mark.parametrize("job", RECORDED.jobs, ids=[job.label for job in RECORDED.jobs])
def test_a_job(
    job: RecordedJob,
    *,
    server: LocalServer,
    drawn: Path,
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    if job.task == "exif" and shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    with call(server) as caller, listen(server.mqtt_url) as listener:
        server.stop_workers()
        file = (job.file, (drawn / job.file).read_bytes())
        accepted = caller.post(job.task, [("file", file)], **job.form)
        job_id = str(accepted["job_id"])
        queued = caller.job(job_id)
        server.start_workers()
        ended = caller.ended(job_id)
        eventually(lambda: len(listener.events(job_id)) >= len(job.events))
        events = listener.events(job_id)
    answers = {"accepted": accepted, "queued": queued, "ended": ended}
    recorded = {"accepted": job.accepted, "queued": job.queued, "ended": job.ended}
    found = [
        difference
        for moment, answer in answers.items()
        for difference in differences(
            recorded[moment], as_recorded(answer, job_id, server), f"{job.label} {moment}"
        )
    ]
    if events != job.events:
        found.append(f"{job.label} ended.events: {events} in place of {job.events}")
    unknown = [difference for difference in found if not any(fnmatch(difference, known) for known in KNOWN)]
    assert unknown == []


@pytest.fixture(scope="module")
def thumbnail(server: LocalServer, drawn: Path, call: type[Caller]) -> str:
    """The job of which the recorded requests are about."""
    with call(server) as caller:
        job_id = caller.submit("media_thumbnail", content=(drawn / "photo.jpg").read_bytes())
        assert caller.outcome(job_id) == "completed"
        caller.read("/capabilities")  # generation A knows of no workers at the first request
    return job_id


@pytest.mark.parametrize("recorded", RECORDED.requests, ids=[one.path for one in RECORDED.requests])
def test_a_request(
    recorded: RecordedRequest,
    server: LocalServer,
    thumbnail: str,
    call: type[Caller],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    files = {"file": ("photo.jpg", b"x")} if recorded.file else {"other": ("x", b"x")}
    path = recorded.path.replace("JOB", thumbnail)

    def answer() -> httpx.Response:
        if recorded.method == "POST":
            return caller.http.post(path, data=recorded.form, files=files)
        return caller.http.get(path)

    with call(server) as caller:
        if path == "/capabilities":  # all zero while the worker looks for work
            eventually(lambda: JSON_OBJECT.validate_json(answer().content) == recorded.body)
        got = answer()
        body = as_recorded(JSON_OBJECT.validate_json(got.content), thumbnail, server)
        assert got.status_code == recorded.status
        assert got.headers["content-type"] == "application/json"
        assert isinstance(body, dict)
        assert list(body) == list(recorded.body)
        if path != "/capabilities":
            assert body == recorded.body


def test_the_file_of_a_job(server: LocalServer, thumbnail: str, call: type[Caller]) -> None:
    with call(server) as caller:
        headers = caller.http.get(f"/jobs/{thumbnail}/files/output/thumbnail.jpg").headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == 'attachment; filename="thumbnail.jpg"'


@pytest.mark.parametrize(
    ("file", "recorded"),
    [("photo.jpg", RECORDED.around_a_job), ("video.mp4", RECORDED.around_a_failed_job)],
)
def test_messages_and_their_order(
    file: str,
    recorded: list[str],
    *,
    server: LocalServer,
    drawn: Path,
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    with call(server) as caller, listen(server.mqtt_url) as listener:
        eventually(lambda: words(listener.heard)[-4:] == RECORDED.without_work)
        job_id = caller.submit("media_thumbnail", name=file, content=(drawn / file).read_bytes())
        eventually(lambda: len(since_the_claim(listener.heard, job_id)) >= len(recorded))
        heard = since_the_claim(listener.heard, job_id)
    assert words(heard)[: len(recorded)] == recorded
    for message in heard:
        form = RECORDED.event if "events" in message.topic else RECORDED.announcement
        assert list(message.body) == form.keys
        assert message.topic == form.topic.replace("WORKER", str(message.body.get("id")))
        assert not message.retained  # to those who were subscribed before


def words(messages: Sequence[Heard]) -> list[str]:
    """What messages say, as in the recording."""
    bodies = [message.body for message in messages]
    return [str(body.get("event_type", f"idle {body.get('idle_count')}")) for body in bodies]


def since_the_claim(messages: Sequence[Heard], job_id: str) -> Sequence[Heard]:
    """The messages from the look for work in which a job was claimed."""
    events = [at for at, one in enumerate(messages) if job_id.encode() in one.payload]
    return messages[events[1] - 1 :] if len(events) > 1 else ()


def test_the_differences_are_rows_of_the_documentation() -> None:
    rows = {line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("|")}
    assert set(KNOWN.values()) | {fault.name for fault in REAL_FAULTS} <= rows
