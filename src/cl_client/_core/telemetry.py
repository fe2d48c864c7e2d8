"""Observability: each submit, upload, wait and download as a span, in metrics, and in logs.

Spans and metrics use OpenTelemetry. They need the extra ``otel`` and an SDK that the application sets up, and
cost almost nothing without them. Attribute names: ``cl.job.id``, ``cl.job.status``, ``cl.task``.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cl_client._core.log import about_job

try:  # imported here, and not on the event loop during the first request
    from opentelemetry import context, metrics, propagate, trace
except ImportError:
    context = metrics = propagate = trace = None

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

OperationName: TypeAlias = Literal["submit", "upload", "wait", "download"]

_SCOPE: Final = "cl_client"

_entered: ContextVar[bool] = ContextVar("cl_client_span_entered")


@dataclass(slots=True)
class Operation:
    """An operation in progress.

    Attributes:
        name: Kind of operation.
        task: Task type of its job, if known.
        transferred: Bytes of files that it has sent or received.
        span: OpenTelemetry span; None without OpenTelemetry.
    """

    name: OperationName
    task: str | None = None
    transferred: int = 0
    span: Span | None = None

    def note(self, *, job_id: str | None = None, task: str | None = None, status: str | None = None) -> None:
        """Add attributes that were not known at the start.

        Args:
            job_id: Id of the job.
            task: Task type of the job.
            status: Status of the job.
        """
        self.task = task or self.task
        if self.span is not None:
            for key, value in (("cl.job.id", job_id), ("cl.task", task), ("cl.job.status", status)):
                if value:
                    self.span.set_attribute(key, value)


@contextlib.contextmanager
def operation(
    name: OperationName, *, job_id: str | None = None, task: str | None = None
) -> Generator[Operation]:
    """Log, trace and measure the code in the context as one operation.

    Args:
        name: Kind of operation.
        job_id: Id of the job, if known.
        task: Task type of the job, if known.

    Yields:
        The operation, to which attributes can be added.
    """
    under_way = Operation(name, task)
    with about_job(job_id) if job_id else contextlib.nullcontext():
        if metrics is None or trace is None or context is None:
            yield under_way
            return
        tools = _instruments()
        span = under_way.span = tools.tracer.start_span(f"{_SCOPE}.{name}")
        under_way.note(job_id=job_id, task=task)
        token, mark = context.attach(trace.set_span_in_context(span)), _entered.set(True)
        begun, failure = time.perf_counter(), None
        try:
            yield under_way
        except BaseException as exc:
            failure = exc
            raise
        finally:
            tools.measure(under_way, time.perf_counter() - begun, failure)
            # An open file may be closed by another task, whose context has nothing to restore.
            with contextlib.suppress(ValueError):
                _entered.reset(mark)
                context.detach(token)


def trace_headers() -> dict[str, str]:
    """Create headers that tell the server which trace a request belongs to.

    Returns:
        W3C Trace Context headers by default; empty without OpenTelemetry or an active span.
    """
    headers: dict[str, str] = {}
    if propagate is not None:
        propagate.inject(headers)
    return headers


class _Instruments:
    """OpenTelemetry instruments. They use the SDK of the application, even if it is set up later."""

    def __init__(self, meter: Meter, tracer: Tracer) -> None:
        self.tracer = tracer
        self._durations = meter.create_histogram(
            f"{_SCOPE}.operation.duration", "s", "Duration of operations"
        )
        self._transferred = meter.create_counter(
            f"{_SCOPE}.transferred", "By", "Bytes of files sent and received"
        )

    def measure(self, done: Operation, seconds: float, failure: BaseException | None) -> None:
        """Record the metrics of an operation, and end its span."""
        # With the job id, each job would have a time series of its own.
        attributes = {"operation": done.name} | ({"cl.task": done.task} if done.task else {})
        kind = {} if failure is None else {"error.type": type(failure).__qualname__}
        self._durations.record(seconds, attributes | kind)
        if done.transferred:
            self._transferred.add(done.transferred, attributes)
        if done.span is None or trace is None:
            return
        if isinstance(failure, Exception):
            done.span.record_exception(failure)
            done.span.set_status(trace.StatusCode.ERROR, f"{type(failure).__name__}: {failure}")
        done.span.end()


@cache
def _instruments() -> _Instruments:
    assert metrics is not None  # noqa: S101 - checked by the caller
    assert trace is not None  # noqa: S101 - checked by the caller
    return _Instruments(metrics.get_meter(_SCOPE), trace.get_tracer(_SCOPE))
