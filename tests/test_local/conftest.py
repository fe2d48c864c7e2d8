"""A local server with scripted tasks, and plain HTTP and MQTT clients to look at it from outside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import TypeAdapter

from cl_client.local import LocalServer
from cl_client.local.tasks import TaskSpec
from cl_client.models import JSONObject
from conversions import Converter
from hls_playback import streaming_to
from patience import SECONDS, eventually
from shares import photo_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from hls_playback import Streaming

JSON_OBJECT = TypeAdapter(JSONObject)


class Caller:
    """Talks plain HTTP to a server."""

    def __init__(self, server: LocalServer | str) -> None:
        base_url = server if isinstance(server, str) else server.base_url
        self.http = httpx.Client(base_url=base_url, timeout=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.http.close()

    def post(self, task: str, files: list[tuple[str, tuple[str, bytes]]], **fields: str) -> JSONObject:
        """What the server answers to an accepted submit."""
        response = self.http.post(f"/jobs/{task}", files=files, data=fields)
        assert response.status_code == 200, response.text
        return JSON_OBJECT.validate_json(response.content)

    def submit(
        self, task: str = "scripted", *, name: str = "photo.jpg", content: bytes = b"data", **fields: str
    ) -> str:
        """Submit a job; its id."""
        return str(self.post(task, [("file", (name, content))], **fields)["job_id"])

    def job(self, job_id: str) -> JSONObject:
        """A job as it is now."""
        response = self.http.get(f"/jobs/{job_id}")
        assert response.status_code == 200, response.text
        return JSON_OBJECT.validate_json(response.content)

    def read(self, path: str, method: str = "GET", **params: int) -> JSONObject:
        """What the server answers, as JSON."""
        return JSON_OBJECT.validate_json(self.http.request(method, path, params=params).content)

    def has_status(self, job_id: str, *words: str) -> bool:
        """Whether a job's status is one of these."""
        return self.job(job_id)["status"] in words

    def ended(self, job_id: str) -> JSONObject:
        """A job when it has ended."""
        eventually(lambda: self.has_status(job_id, "completed", "error"))
        return self.job(job_id)

    def outcome(self, job_id: str) -> str:
        """The status with which a job has ended."""
        return str(self.ended(job_id)["status"])


class Heard(NamedTuple):
    """A message that was heard."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def body(self) -> JSONObject:
        """The payload as JSON."""
        return JSON_OBJECT.validate_json(self.payload)


class Listener:
    """Listens to everything that a server says over MQTT, with plain paho."""

    def __init__(self, mqtt_url: str, version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311) -> None:
        self.heard: list[Heard] = []
        self._subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        address = httpx.URL(mqtt_url)
        self._client.connect(address.host, address.port or 1883)
        self._client.subscribe("inference/#", qos=1)
        self._client.loop_start()

    def __enter__(self) -> Self:
        eventually(lambda: self._subscribed)
        return self

    def __exit__(self, *_args: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # paho closes its wake-up sockets when its client goes, which a cycle would put off.
        self._client.on_message = self._client.on_subscribe = None
        del self._client

    def events(self, job_id: str) -> list[tuple[str, int]]:
        """What was said of a job: word and progress."""
        events = [heard.body for heard in self.heard if heard.topic == "inference/events"]
        mine = [event for event in events if event["job_id"] == job_id]
        return [(str(event["event_type"]), int(str(event["progress"]))) for event in mine]

    def workers(self) -> list[Heard]:
        """What was said of workers."""
        return [heard for heard in self.heard if heard.topic.startswith("inference/workers/")]

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain))

    def _on_subscribe(self, *_args: object) -> None:
        self._subscribed = True


@pytest.fixture(scope="session", autouse=True)
def importable_scripted_tasks() -> Iterator[None]:
    """Worker processes import what the server can import."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="session")
def scripted() -> dict[str, TaskSpec]:
    """The scripted task, to be given to a server."""
    return {"scripted": TaskSpec("scripted_tasks:run", "scripted_tasks:ScriptedParams", "output/result.bin")}


@pytest.fixture(scope="session")
def server(scripted: dict[str, TaskSpec]) -> Iterator[LocalServer]:
    """A server that tests share which leave it as it was."""
    with LocalServer(workers=2, extra_tasks=scripted) as running:
        yield running


@pytest.fixture
def caller(server: LocalServer) -> Iterator[Caller]:
    """Plain HTTP to the shared server."""
    with Caller(server) as calling:
        yield calling


@pytest.fixture
def listener(server: LocalServer) -> Iterator[Listener]:
    """Plain MQTT to the shared server's broker."""
    with Listener(server.mqtt_url) as listening:
        yield listening


@pytest.fixture(scope="session")
def call() -> type[Caller]:
    """For tests with servers of their own."""
    return Caller


@pytest.fixture(scope="session")
def listen() -> type[Listener]:
    """For tests with servers of their own."""
    return Listener


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture() -> Callable[[Callable[[], object]], None]:
    """Waiting for a condition."""
    return eventually


@pytest.fixture
def convert(tmp_path: Path) -> Converter:
    return Converter(tmp_path)


@pytest.fixture
def streaming(tmp_path: Path) -> Streaming:
    """Runs the HLS task, with its output below the test's folder."""
    return streaming_to(tmp_path)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder with a photo."""
    return photo_folder(tmp_path)


@pytest.fixture
def sharing(share: Path) -> Iterator[LocalServer]:
    """A server that shares the folder, without logins."""
    with LocalServer(workers=1, shared=[share]) as server:
        yield server
