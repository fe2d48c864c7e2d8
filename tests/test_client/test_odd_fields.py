"""One odd field in a server's answer costs that field, unless the answer makes no sense without it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from cl_client import ComputeClient, ComputeClientConfig, InvalidResponseError
from cl_client._auth.models import PublicKey, Token, TokenClaims, User
from cl_client._client.admin import CleanupResult, GuestMode, StorageUsage
from cl_client._mqtt.types import MQTTMessage
from cl_client.models import JobEvent, JobResponse, ServerHealth, WorkerCapabilities, WorkerCapability
from cl_client.plugins.embedding import EmbeddingOutput
from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.face_detection import FaceDetectionOutput
from cl_client.plugins.face_embedding import FaceEmbeddingOutput
from cl_client.plugins.hash import HashOutput, HashResult
from cl_client.plugins.hls_streaming import HlsStreamingOutput
from cl_client.plugins.media_thumbnail import MediaThumbnailOutput
from cl_client.testing import StubServer, http_response
from patience import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    Fields = Mapping[str, object]

ODD = (None, [1], {"a": 1}, "odd", -1.5, True)
BOX = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4}
POINTS = {name: [0.1, 0.2] for name in ("right_eye", "left_eye", "nose_tip", "mouth_right", "mouth_left")}
FACE = {"bbox": BOX, "confidence": 0.9, "landmarks": POINTS, "file_path": "faces/face_0.png"}
TIMES = dict.fromkeys(("created_at", "updated_at", "started_at", "completed_at"), 5)

# A whole answer of each kind, and the fields that it makes no sense without.
ANSWERS: list[tuple[type[BaseModel], Fields, set[str]]] = [
    (
        JobResponse,
        {
            "job_id": "j",
            "task_type": "hash",
            "status": "completed",
            "progress": 100,
            "params": {"output_path": "o"},
            "task_output": {"media_type": "image"},
            "error_message": "words",
            "priority": 7,
            **TIMES,
        },
        {"job_id", "status"},
    ),
    (
        JobEvent,
        {"job_id": "j", "event_type": "processing", "timestamp": 5, "progress": 5},
        {"job_id", "event_type"},
    ),
    (
        WorkerCapability,
        {"worker_id": "w", "capabilities": ["hash"], "idle_count": 1, "timestamp": 5},
        set(),
    ),
    (WorkerCapabilities, {"num_workers": 1, "capabilities": {"hash": 1}}, set()),
    (
        ServerHealth,
        {"status": "healthy", "service": "Task Server", "version": "v1", "guestMode": "on"},
        {"status"},
    ),
    (StorageUsage, {"total_size": 5, "job_count": 1}, {"total_size", "job_count"}),
    (CleanupResult, {"deleted_count": 1, "freed_space": 5}, {"deleted_count"}),
    (GuestMode, {"guest_mode": True, "updated_at": 5, "updated_by": "1"}, {"guest_mode"}),
    (Token, {"access_token": "a.b.c", "token_type": "bearer"}, {"access_token"}),
    (
        User,
        {
            "id": 1,
            "username": "me",
            "is_admin": True,
            "is_active": True,
            "created_at": "2026-01-01T00:00:00",
            "permissions": ["p"],
        },
        {"id", "username"},
    ),
    (PublicKey, {"public_key": "PEM", "algorithm": "ES256"}, {"public_key", "algorithm"}),
    (TokenClaims, {"id": "1", "permissions": ["p"], "is_admin": True, "exp": 5}, {"id", "exp"}),
    (EmbeddingOutput, {"embedding_dim": 512, "normalized": True}, set()),
    (FaceEmbeddingOutput, {"embedding_dim": 512, "normalized": True, "quality_score": 0.5}, set()),
    (ExifOutput, {"make": "Me", "iso": 100, "gps_latitude": 1.5, "raw_metadata": {"EXIF:Make": "Me"}}, set()),
    (
        FaceDetectionOutput,
        {"faces": [FACE], "num_faces": 1, "image_width": 9, "image_height": 9, "engine": "yunet"},
        {"faces"},
    ),
    (HashOutput, {"media_type": "image"}, set()),
    (
        HashResult,
        {"hash_value": "ab", "algorithm": "md5", "media_type": "image", "process_time": 1.5},
        {"hash_value"},
    ),
    (
        HlsStreamingOutput,
        {"master_playlist": "m", "variants_generated": 2, "total_segments": 3, "include_original": True},
        set(),
    ),
    (MediaThumbnailOutput, {"media_type": "image"}, set()),
]
OPTIONAL = [
    pytest.param(model, whole, name, id=f"{model.__name__}-{name}")
    for model, whole, essential in ANSWERS
    for name in sorted(whole.keys() - essential)
]
ESSENTIAL = [
    pytest.param(model, whole, name, id=f"{model.__name__}-{name}")
    for model, whole, essential in ANSWERS
    for name in sorted(essential)
]


def read(model: type[BaseModel], fields: Fields) -> Fields:
    """What is read of an answer; also a secret, as text."""
    return json.loads(model.model_validate_json(json.dumps(fields)).model_dump_json())  # pyright: ignore[reportAny] - JSON


@pytest.mark.parametrize(("model", "whole", "name"), OPTIONAL)
def test_an_optional_field_costs_itself_alone(model: type[BaseModel], whole: Fields, name: str) -> None:
    def rest(fields: Fields) -> Fields:
        return {key: value for key, value in read(model, fields).items() if key in others}

    others = (read(model, whole).keys() & whole.keys()) - {name}
    expected = rest(whole)
    without = {key: value for key, value in whole.items() if key != name}
    for fields in (without, *({**without, name: odd} for odd in ODD)):
        assert rest(fields) == expected, fields


@pytest.mark.parametrize(("model", "whole", "name"), ESSENTIAL)
def test_an_essential_field_must_be_readable(model: type[BaseModel], whole: Fields, name: str) -> None:
    with pytest.raises(ValidationError):
        read(model, {**whole, name: [1]})
    if name != "faces":  # without any there are none, and what is null says nothing
        for fields in ({**whole, name: None}, {key: value for key, value in whole.items() if key != name}):
            with pytest.raises(ValidationError):
                read(model, fields)


def test_one_odd_item_of_many_costs_itself_alone() -> None:
    worker = WorkerCapability.model_validate({"id": "w", "capabilities": ["hash", None, 5, "exif"]})
    assert worker.capabilities == ("hash", "exif")
    served = WorkerCapabilities.model_validate({"capabilities": {"hash": None, "exif": 1}})
    assert served.capabilities == {"hash": 0, "exif": 1}
    claims = TokenClaims.model_validate({"id": 1, "exp": 5, "permissions": ["a", None]})
    assert claims.permissions == ("a",)


def test_a_face_needs_no_landmarks_but_its_box() -> None:
    odd = {**FACE, "landmarks": {**POINTS, "nose_tip": None}, "file_path": 5}
    (face,) = FaceDetectionOutput.model_validate({"faces": [odd]}).faces
    assert (face.landmarks, face.file_path, face.confidence) == (None, None, 0.9)
    with pytest.raises(ValidationError):
        FaceDetectionOutput.model_validate({"faces": [FACE, {**FACE, "bbox": {**BOX, "x1": None}}]})


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        (None, None),
        ("words", "words"),
        (["é", 1], '["é", 1]'),
        ({"detail": "x"}, '{"detail": "x"}'),
        (5, "5"),
    ],
)
def test_the_words_for_a_failure_are_kept_whatever_they_are(sent: object, read_as: str | None) -> None:
    job = JobResponse.model_validate(
        {"job_id": "j", "task_type": "hash", "status": "error", "error_message": sent}
    )
    assert job.error_message == read_as


def test_defaults_are_nobodys_common_property() -> None:
    fields = {"job_id": "j", "status": "queued", "params": None}
    one, other = JobResponse.model_validate(fields), JobResponse.model_validate(fields)
    one.params["a"] = 1
    assert other.params == {}


async def test_a_worker_without_readable_capabilities_is_there_all_the_same() -> None:
    config = ComputeClientConfig.create(base_url="http://127.0.0.1:1", mqtt_broker="off")
    now = round(time.time() * 1000)
    odd = {"id": None, "capabilities": None, "idle_count": 1, "timestamp": now}
    whole = {"id": "two", "capabilities": ["hash"], "idle_count": None, "timestamp": now}
    async with ComputeClient(config=config) as client:
        client.mqtt_monitor.dispatch(
            MQTTMessage(f"inference/workers/{name}", json.dumps(fields).encode(), retain=False)
            for name, fields in (("one", odd), ("two", whole))
        )
        workers = client.mqtt_monitor.workers()
        assert {name: one.worker_id for name, one in workers.items()} == {"one": "one", "two": "two"}
        assert client.mqtt_monitor.malformed == 0


@pytest.mark.parametrize("odd", ['"task_type": null', '"task_type": 5, "priority": null', '"params": null'])
async def test_a_job_of_an_odd_server_is_submitted_followed_and_read(odd: str) -> None:
    job = http_response(
        "200 OK", f'{{"job_id": "j", "status": "completed", "task_output": {{"media_type": "text"}}, {odd}}}'
    )
    async with StubServer(files={"hash": job, "j": job}).running() as client:
        ended = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
        assert (ended.status, ended.task_type) == ("completed", "hash")
        assert client.hash.output(ended).media_type == "text"
        assert client.hash.output(await client.get_job("j")).media_type == "text"


@pytest.mark.parametrize("odd", ['"job_id": "j"', '"job_id": "j", "status": null', '"status": "queued"'])
async def test_what_names_no_job_or_no_status_is_none(odd: str) -> None:
    async with StubServer(http_response("200 OK", f"{{{odd}}}")).running() as client:
        with pytest.raises(InvalidResponseError):
            await client.get_job("j")
