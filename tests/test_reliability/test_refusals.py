"""Servers that refuse to tell of a job: for a while, or for good."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import AuthenticationError, ComputeClient, HTTPError, PermissionDeniedError
from cl_client._mqtt.types import MQTTMessage
from cl_client.auth import NoAuthProvider
from cl_client.testing import StubServer, http_response
from followers import Log
from patience import soon
from support import heard, reading_eagerly

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client import JobResponse
    from cl_client.options import ErrorCallback

PATIENCE = 10
"""Refusals in a row that are the last word."""


def job(job_id: str, status: str) -> bytes:
    return http_response("200 OK", json.dumps({"job_id": job_id, "task_type": "hash", "status": status}))


REFUSED = http_response("401 Unauthorized", '{"detail": "JWT token has expired"}')
FORBIDDEN = http_response("403 Forbidden", '{"detail": "Insufficient permissions"}')
OTHERS: dict[str, bytes | None] = {"other": job("other", "processing")}


class Errors:
    """What `on_error` was given."""

    def __init__(self) -> None:
        self.told: list[Exception] = []
        self.news = asyncio.Event()

    def plain(self, error: Exception) -> None:
        self.told.append(error)
        self.news.set()

    async def coroutine(self, error: Exception) -> None:
        await asyncio.sleep(0)
        self.plain(error)

    def faulty(self, error: Exception) -> None:
        self.plain(error)
        raise ZeroDivisionError

    async def faulty_coroutine(self, error: Exception) -> None:
        await self.coroutine(error)
        raise ZeroDivisionError

    async def the_one(self) -> Exception:
        await soon(self.news.wait())
        (error,) = self.told
        return error


async def read_often(client: ComputeClient, server: StubServer) -> None:
    """Read another job so often that any other one would have been read as well."""
    client.subscribe_job_updates("other")
    await server.received(len(server.requests) + 2 * PATIENCE)


@pytest.mark.parametrize(
    ("reply", "kind"), [(REFUSED, AuthenticationError), (FORBIDDEN, PermissionDeniedError)]
)
@pytest.mark.parametrize("callback", ["plain", "coroutine", "faulty", "faulty_coroutine"])
async def test_a_refusal_that_stays_is_told_once_and_ends_the_subscription(
    reply: bytes, kind: type[HTTPError], callback: str
) -> None:
    errors, log = Errors(), Log()
    on_error: dict[str, ErrorCallback] = {
        "plain": errors.plain,
        "coroutine": errors.coroutine,
        "faulty": errors.faulty,
        "faulty_coroutine": errors.faulty_coroutine,
    }
    server = StubServer(reply, files=OTHERS)
    async with reading_eagerly(server) as client:
        subscription = client.subscribe_job_updates("j", log.progress, log.complete, on_error[callback])
        assert isinstance(await errors.the_one(), kind)
        await read_often(client, server)
        client.unsubscribe(subscription)
    assert server.targets.count("/jobs/j") == PATIENCE
    assert len(errors.told) == 1
    assert log.told == log.ended == []


async def test_whoever_listens_to_no_error_finds_it_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    server = StubServer(REFUSED, files=OTHERS)
    async with reading_eagerly(server) as client:
        with heard("cl_client.jobs", "job j is no longer followed") as said:
            client.subscribe_job_updates("j")
            await soon(said.wait())
        await read_often(client, server)
    assert server.targets.count("/jobs/j") == PATIENCE
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "JWT token has expired" in record.getMessage()


async def test_a_refusal_that_goes_away_in_time_ends_nothing() -> None:
    most = [REFUSED] * (PATIENCE - 1)
    server = StubServer(*most, job("j", "processing"), *most, job("j", "completed"))
    errors, log = Errors(), Log()
    async with reading_eagerly(server) as client:
        client.subscribe_job_updates("j", log.progress, log.complete, errors.plain)
        await log.the_end()
    assert log.told == [("processing", 0)]
    assert errors.told == []


async def test_an_error_callback_may_end_another_subscription_or_begin_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    files: dict[str, bytes | None] = {"j": REFUSED, **OTHERS}
    server, silenced, log = StubServer(REFUSED, files=files), Errors(), Log()
    async with reading_eagerly(server) as client:
        ids: list[str] = []

        def leave_and_come_back(_error: Exception) -> None:
            for subscription in ids:
                client.unsubscribe(subscription)
            files["j"] = job("j", "completed")
            client.subscribe_job_updates("j", log.progress, log.complete)

        ids.append(client.subscribe_job_updates("j", on_error=leave_and_come_back))
        ids.append(client.subscribe_job_updates("j", on_error=silenced.plain))
        ids.append(client.subscribe_job_updates("j"))
        await log.the_end()
        await read_often(client, server)
    assert silenced.told == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_closing_in_an_error_callback() -> None:
    server, closed = StubServer(REFUSED), asyncio.Event()
    async with reading_eagerly(server) as client:

        async def close(_error: Exception) -> None:
            await client.close()
            closed.set()

        client.subscribe_job_updates("j", on_error=close)
        client.subscribe_job_updates("j", on_error=close)
        await soon(closed.wait())


SUBMITS: dict[str, Callable[[ComputeClient, ErrorCallback], Awaitable[JobResponse]]] = {
    "clip_embedding": lambda client, call: client.clip_embedding.embed_image(b"x", on_error=call),
    "dino_embedding": lambda client, call: client.dino_embedding.embed_image(b"x", on_error=call),
    "exif": lambda client, call: client.exif.extract(b"x", on_error=call),
    "face_detection": lambda client, call: client.face_detection.detect(b"x", on_error=call),
    "face_embedding": lambda client, call: client.face_embedding.embed_faces(b"x", on_error=call),
    "hash": lambda client, call: client.hash.compute(b"x", on_error=call),
    "hls_streaming": lambda client, call: client.hls_streaming.generate_manifest(b"x", on_error=call),
    "image_conversion": lambda client, call: client.image_conversion.convert(b"x", "png", on_error=call),
    "media_thumbnail": lambda client, call: client.media_thumbnail.generate(b"x", on_error=call),
}


async def test_every_plugin_takes_an_error_callback() -> None:
    server = StubServer(REFUSED, files={task: job(f"of_{task}", "queued") for task in SUBMITS})
    async with reading_eagerly(server) as client:
        for task, submit in SUBMITS.items():
            errors = Errors()
            assert (await submit(client, errors.plain)).job_id == f"of_{task}"
            assert isinstance(await errors.the_one(), AuthenticationError)


class Unsteady(NoAuthProvider):
    """A provider of an application that is cancelled from within, so many times."""

    def __init__(self, times: int) -> None:
        self._times = times

    @override
    async def prepare(self) -> None:
        if self._times:
            self._times -= 1
            raise asyncio.CancelledError


async def test_a_read_that_an_auth_provider_cancels_is_not_the_last_one() -> None:
    server = StubServer(job("j", "completed"))
    async with (
        reading_eagerly(server) as guest,
        ComputeClient(config=guest.config, auth_provider=Unsteady(3)) as client,
    ):
        assert (await soon(client.wait_for_job("j"))).status == "completed"


async def test_reads_that_an_auth_provider_cancels_for_ever_end_the_wait() -> None:
    async with (
        reading_eagerly(StubServer(job("j", "completed"))) as guest,
        ComputeClient(config=guest.config, auth_provider=Unsteady(1000)) as client,
    ):
        with pytest.raises(RuntimeError, match="The auth provider cancelled the read"):
            await soon(client.wait_for_job("j"))


async def test_an_end_that_was_announced_is_told_once_however_long_its_reads_fail() -> None:
    failures = [
        http_response("500 Fault"),
        http_response("502 Bad"),
        b"",
        REFUSED,
        http_response("200 OK", "<html>"),
    ]
    server, log = StubServer(*failures * 5, job("j", "processing"), job("j", "completed")), Log()
    async with reading_eagerly(server) as client:
        client.subscribe_job_updates("j", log.progress, log.complete)
        ended = b'{"job_id": "j", "event_type": "completed", "timestamp": 1, "progress": 100}'
        event = MQTTMessage(client.config.events_topic, ended, retain=False)
        client.mqtt_monitor.dispatch([event] * 3)
        await log.the_end()
        client.mqtt_monitor.dispatch([event])
    assert log.told == [("processing", 0)]


class Application:
    """Follows a job, and holds on to nothing."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    async def hear(self, _news: JobResponse | Exception) -> None:
        self.done.set()


@pytest.mark.parametrize("last", ["completed", "refused", "gone", "left"])
async def test_nothing_is_kept_of_who_followed_a_job_to_its_end(last: str) -> None:
    answers = {
        "completed": job("j", "completed"),
        "refused": REFUSED,
        "gone": http_response("404 Not Found", '{"detail": "Job j not found"}'),
        "left": job("j", "processing"),
    }
    server = StubServer(answers[last])
    async with reading_eagerly(server) as client:
        application = Application()
        subscription = client.subscribe_job_updates("j", application.hear, application.hear, application.hear)
        await soon(application.done.wait())
        if last == "left":
            client.unsubscribe(subscription)
        left = weakref.ref(application)
        del application
        for _ in range(10):  # its last callback is still ending
            await asyncio.sleep(0)
        gc.collect()
        assert left() is None
