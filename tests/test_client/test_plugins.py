"""Every range and word that a parameter may have: checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from cl_client import ComputeClient, InvalidParameterError, JSONObject, WorkerUnavailableError, plugins
from cl_client.testing import StubServer, http_response

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client import TaskOutput
    from cl_client.options import MapOptions, SubmitOptions
    from cl_client.plugins.hash import HashOutput

HLS = {"resolution": 720, "bitrate": 3500}


@pytest.fixture
def client() -> ComputeClient:
    """Nothing listens there; what is sent would fail with another error."""
    return ComputeClient("http://127.0.0.1:1", mqtt_broker="off")


@pytest.mark.parametrize(
    ("task", "values", "fields"),
    [
        ("clip_embedding", {}, {"normalize": "true"}),
        ("dino_embedding", {"normalize": False}, {"normalize": "false"}),
        ("face_embedding", {"normalize": True}, {"normalize": "true"}),
        ("exif", {}, {"tags": ""}),
        ("exif", {"tags": ["Make", "EXIF:ISO"]}, {"tags": "Make,EXIF:ISO"}),
        ("exif", {"tags": "Make, Model"}, {"tags": "Make,Model"}),
        ("face_detection", {}, {"confidence_threshold": "0.7", "nms_threshold": "0.4"}),
        (
            "face_detection",
            {"confidence_threshold": 0, "nms_threshold": 1},
            {"confidence_threshold": "0.0", "nms_threshold": "1.0"},
        ),
        ("hash", {}, {"algorithm": "sha512"}),
        ("hash", {"algorithm": "md5"}, {"algorithm": "md5"}),
        *(
            ("image_conversion", {"format": word}, {"format": word})
            for word in ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff")
        ),
        ("image_conversion", {"format": "jpg", "quality": 1}, {"format": "jpg", "quality": "1"}),
        ("image_conversion", {"format": "jpg", "quality": 100}, {"format": "jpg", "quality": "100"}),
        ("media_thumbnail", {}, {"maintain_aspect_ratio": "true"}),
        (
            "media_thumbnail",
            {"width": 1, "height": 2, "maintain_aspect_ratio": False},
            {"width": "1", "height": "2", "maintain_aspect_ratio": "false"},
        ),
        (
            "hls_streaming",
            {},
            {
                "variants": '[{"resolution":720,"bitrate":3500},{"resolution":480,"bitrate":1500}]',
                "include_original": "false",
            },
        ),
        (
            "hls_streaming",
            {"variants": [{"resolution": 1, "bitrate": 100}], "include_original": True},
            {"variants": '[{"resolution":1,"bitrate":100}]', "include_original": "true"},
        ),
    ],
)
def test_what_is_sent(client: ComputeClient, task: str, values: JSONObject, fields: dict[str, str]) -> None:
    plugin = client.plugin(task)
    made = plugin.params(plugin.params_model, **values)
    assert made.form_fields() == fields
    assert plugin.params_model.model_validate(fields) == made  # as the local server reads them


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("clip_embedding", {"normalize": "maybe"}),
        ("dino_embedding", {"normalize": None}),
        ("face_embedding", {"normalise": True}),
        ("exif", {"tags": ["Make,Model"]}),
        ("exif", {"tags": [""]}),
        ("exif", {"tags": ["-all="]}),
        ("face_detection", {"confidence_threshold": -0.01}),
        ("face_detection", {"confidence_threshold": 1.01}),
        ("face_detection", {"confidence_threshold": float("nan")}),
        ("face_detection", {"nms_threshold": -0.01}),
        ("face_detection", {"nms_threshold": 1.01}),
        ("hash", {"algorithm": "sha256"}),
        ("hash", {"algorithm": "MD5"}),
        ("image_conversion", {}),
        ("image_conversion", {"format": "PNG"}),
        ("image_conversion", {"format": "heic"}),
        ("image_conversion", {"format": "jpg", "quality": 0}),
        ("image_conversion", {"format": "jpg", "quality": 101}),
        ("media_thumbnail", {"width": 0}),
        ("media_thumbnail", {"height": -1}),
        ("media_thumbnail", {"width": 1.5}),
        ("hls_streaming", {"variants": []}),
        ("hls_streaming", {"variants": "not JSON"}),
        ("hls_streaming", {"variants": None}),
        ("hls_streaming", {"variants": [{"resolution": None, "bitrate": 3500}]}),
        ("hls_streaming", {"variants": [{"bitrate": 3500}]}),
        ("hls_streaming", {"variants": [{"resolution": 0, "bitrate": 3500}]}),
        ("hls_streaming", {"variants": [{"resolution": 720, "bitrate": 99}]}),
        ("hls_streaming", {"include_original": "perhaps"}),
    ],
)
def test_what_is_refused(client: ComputeClient, task: str, values: JSONObject) -> None:
    plugin = client.plugin(task)
    field = next(reversed(values), "format")  # the last one is what is wrong
    with pytest.raises(InvalidParameterError, match=f"^{task}: {field}"):
        plugin.params(plugin.params_model, **values)


@pytest.mark.parametrize("task", plugins.PLUGINS)
@pytest.mark.parametrize("priority", [-1, 11, True, 2.5, "5", None, float("nan")])
async def test_priorities_out_of_range(client: ComputeClient, task: str, priority: object) -> None:
    plugin = client.plugin(task)
    made = plugin.params(plugin.params_model, **({"format": "png"} if task == "image_conversion" else {}))
    with pytest.raises(InvalidParameterError, match=f"^{task}: priority={priority!r}: must be 0-10"):
        await plugin.submit(b"x", made, priority=cast("int", priority))
    await client.close()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"poll_interval": 0}, r"poll_interval=0: must be a number of seconds, at least 0\.01"),
        ({"poll_interval": -1.0}, "poll_interval=-1"),
        ({"poll_interval": 1e-9}, "poll_interval=1e-09"),
        ({"poll_interval": float("nan")}, "poll_interval=nan"),
        ({"timeout": float("nan")}, "timeout=nan: must be a number of seconds"),
        ({"timeout": "3"}, "timeout='3'"),
        ({"timeout": True}, "timeout=True"),
    ],
)
async def test_seconds_that_are_none(client: ComputeClient, values: dict[str, float], reason: str) -> None:
    with pytest.raises(InvalidParameterError, match=reason):
        await client.wait_for_job(
            "j", poll_interval=values.get("poll_interval"), timeout=values.get("timeout")
        )
    if "timeout" in values:
        with pytest.raises(InvalidParameterError, match=reason):
            await client.wait_for_workers(["hash"], values["timeout"])
        with pytest.raises(InvalidParameterError, match="timeout="):
            await client.read_job_file("j", "a", timeout=values["timeout"])
    await client.close()


async def test_one_name_is_not_taken_for_its_letters(tmp_path: Path) -> None:
    server = StubServer(files={"": http_response("503 Busy"), "a": http_response("200 OK", "content")})
    async with server.running(max_retries=0) as client:
        with pytest.raises(WorkerUnavailableError) as caught:
            await client.wait_for_workers("hash", timeout=0)
        assert caught.value.missing == ("hash",)
        assert await client.download_job_files("j", "output/a", tmp_path) == [tmp_path / "output" / "a"]


@pytest.mark.parametrize(("tags", "sent"), [("Make", b"Make"), (["Make", "Model"], b"Make,Model")])
async def test_tags_as_they_are_sent(tags: Sequence[str], sent: bytes) -> None:
    server = StubServer(http_response("200 OK", '{"job_id": "j", "task_type": "exif", "status": "queued"}'))
    async with server.running() as client:
        await client.exif.extract(b"x", tags=tags)
    assert b'name="tags"\r\n\r\n%s\r\n' % sent in server.requests[0]


async def test_an_option_that_does_not_exist(client: ComputeClient) -> None:
    misspelt = cast("MapOptions[HashOutput]", {"timeuot": 3.0})
    with pytest.raises(InvalidParameterError, match="unknown option 'timeuot'; did you mean 'timeout'"):
        await client.hash.compute(b"x", **misspelt)
    with pytest.raises(InvalidParameterError, match="did you mean 'timeout'"):
        client.hash.map([b"x"], **misspelt)
    with pytest.raises(InvalidParameterError, match="'wait'; use one of: delete_on_cancel, on_complete"):
        client.hash.map([b"x"], **cast("MapOptions[HashOutput]", {"wait": True}))
    with pytest.raises(InvalidParameterError, match="'xyz'; use one of: "):
        await client.submit_job("hash", b"x", {}, cast("SubmitOptions[TaskOutput]", {"xyz": True}))
    await client.close()
