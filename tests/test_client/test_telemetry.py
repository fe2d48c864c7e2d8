"""What an operator sees: spans and metrics of the real SDK, and a job's id on each log record."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, TypeAlias

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cl_client import ComputeClient, JobFileNotFoundError, JobTimeoutError
from cl_client._core.log import about_job, get_logger
from cl_client.testing import StubServer, http_response
from patience import soon
from support import port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from cl_client.testing import FaultyServer

SPANS = InMemorySpanExporter()
READER = InMemoryMetricReader()


@pytest.fixture(autouse=True, scope="module")
def sdk() -> None:
    """As an application sets it up, once for the process."""
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([READER]))


Points: TypeAlias = "dict[tuple[object, ...], float]"


def points(metric: str, before: Points | None = None) -> Points:
    """What was added to a metric since before: count or sum by operation, task and error."""
    found: Points = {}
    if (data := READER.get_metrics_data()) is None:
        return found
    scopes = data.resource_metrics[0].scope_metrics
    for one in (one for scope in scopes for one in scope.metrics if one.name == metric):
        for point in one.data.data_points:
            attributes = point.attributes or {}
            key = tuple(attributes.get(name) for name in ("operation", "cl.task", "error.type"))
            if isinstance(point, HistogramDataPoint):
                found[key] = point.count
            elif isinstance(point, NumberDataPoint):
                found[key] = point.value
    return {key: value - (before or {}).get(key, 0) for key, value in found.items()}


async def test_spans_and_metrics(faulty_server: FaultyServer) -> None:
    held, photo = faulty_server.hold_job(), b"a photo"
    before = {name: points(name) for name in ("cl_client.operation.duration", "cl_client.transferred")}
    SPANS.clear()
    async with faulty_server.client() as client:
        with trace.get_tracer("test").start_as_current_span("caller") as caller:
            call = asyncio.ensure_future(client.submit_job("hash", photo, {}, {"wait": True, "timeout": 60}))
            await soon(held.reached())
            held.release()
            job = await call
            content = await client.read_job_file(job.job_id, "input/file")
            with pytest.raises(JobFileNotFoundError):
                await client.read_job_file(job.job_id, "output/none")
    # The local server's FastAPI makes spans, too.
    made = (span for span in SPANS.get_finished_spans() if span.name.startswith(("cl_client.", "caller")))
    spans = {span.name: span for span in made}
    own = {f"cl_client.{name}" for name in ("submit", "upload", "wait", "download")}
    assert spans.keys() == {"caller", *own}
    trace_id = caller.get_span_context().trace_id
    assert {span.context.trace_id for span in spans.values() if span.context} == {trace_id}
    assert spans["cl_client.submit"].attributes == {"cl.task": "hash", "cl.job.id": job.job_id}
    wait = spans["cl_client.wait"].attributes
    assert wait == {"cl.task": "hash", "cl.job.id": job.job_id, "cl.job.status": "completed"}
    failed = spans["cl_client.download"]
    assert (failed.status.is_ok, failed.attributes) == (False, {"cl.job.id": job.job_id})
    durations, transferred = (points(name, earlier) for name, earlier in before.items())
    assert durations["submit", "hash", None] == 1
    assert durations["download", None, "JobFileNotFoundError"] == 1
    assert transferred["upload", "hash", None] == len(photo)
    assert transferred["download", None, None] == len(content)


async def test_requests_carry_the_trace() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"status": "healthy"}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        server,
        ComputeClient(f"http://127.0.0.1:{port_of(server.sockets[0])}", mqtt_broker="off") as client,
    ):
        with trace.get_tracer("test").start_as_current_span("caller") as caller:
            await client.health()
    context = caller.get_span_context()
    assert f"traceparent: 00-{context.trace_id:032x}-{context.span_id:016x}-".encode() in heads[0].lower()


async def test_a_wait_that_times_out_is_an_error_of_its_span(
    faulty_server: FaultyServer,
) -> None:
    held = faulty_server.hold_job()
    SPANS.clear()
    async with faulty_server.client() as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        with pytest.raises(JobTimeoutError):
            await client.wait_for_job(job.job_id, timeout=0.05)
    (wait,) = (span for span in SPANS.get_finished_spans() if span.name == "cl_client.wait")
    assert not wait.status.is_ok
    assert wait.attributes == {"cl.job.id": job.job_id}


async def test_a_file_may_be_closed_by_another_task(caplog: pytest.LogCaptureFixture) -> None:
    SPANS.clear()
    async with StubServer(http_response("200 OK", "content")).running() as client:
        opened = client.open_job_file("j", "output/a")
        await asyncio.create_task(opened.__aenter__())
        await asyncio.create_task(opened.__aexit__(None, None, None))
    (span,) = SPANS.get_finished_spans()
    assert (span.name, span.status.status_code) == ("cl_client.download", trace.StatusCode.UNSET)
    assert caplog.text == ""


async def test_an_abandoned_generator_closes_its_file_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    async with StubServer(http_response("200 OK", "content")).running() as client:

        async def relay() -> AsyncGenerator[bytes]:
            async with client.open_job_file("j", "output/a") as stream:
                async for chunk in stream:
                    yield chunk

        async for chunk in relay():
            assert chunk == b"content"
            break
        gc.collect()  # what refcounting does at once elsewhere
        await asyncio.sleep(0)  # in which the loop makes a task of the generator's end
        closing = [task for task in asyncio.all_tasks() if "async_generator_athrow" in repr(task)]
        assert len(closing) == 1
        await closing[0]
    assert caplog.text == ""


def test_without_opentelemetry_nothing_is_missing(run_python: Callable[[str], str]) -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
from cl_client._core.telemetry import operation, trace_headers
with operation("wait", job_id="j") as under_way:
    under_way.note(task="hash")
print(trace_headers())
"""
    assert run_python(code) == "{}"


def test_every_record_says_its_job(caplog: pytest.LogCaptureFixture) -> None:
    logger = get_logger("cl_client.test")
    assert get_logger("cl_client.test").filters == logger.filters
    with about_job("j1"):
        logger.warning("inside")
        logger.warning("explicit", extra={"job_id": "j2"})
    logger.warning("outside")
    formatter = logging.Formatter("%(job_id)s|%(message)s")
    assert [formatter.format(record) for record in caplog.records] == ["j1|inside", "j2|explicit", "|outside"]
