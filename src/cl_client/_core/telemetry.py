"""What an operator can watch: each submit, upload, wait and download as a span, in metrics, and in logs.

Spans and metrics are OpenTelemetry's, there with the extra ``otel`` and an SDK that the application sets up;
without them this costs next to nothing. Names of attributes: ``cl.job.id``, ``cl.job.status``, ``cl.task``.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cl_client._core.log import about_job

try:  # here, and not on the event loop inside of the first request
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
    """One operation under way.

    Attributes:
        name: What kind.
        task: The task of its job, where that is known.
        transferred: Bytes of files that went over the wire in it.
        span: Its span; None without OpenTelemetry.
    """

    name: OperationName
    task: str | None = None
    transferred: int = 0
    span: Span | None = None

    def note(self, *, job_id: str | None = None, task: str | None = None, status: str | None = None) -> None:
        """Add what has become known."""
        self.task = task or self.task
        if self.span is not None:
            for key, value in (("cl.job.id", job_id), ("cl.task", task), ("cl.job.status", status)):
                if value:
                    self.span.set_attribute(key, value)


@contextlib.contextmanager
def operation(
    name: OperationName, *, job_id: str | None = None, task: str | None = None
) -> Generator[Operation]:
    """Log, trace and measure what runs inside as one operation."""
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
            # An open file may be closed by another task, in whose context there is nothing to put back.
            with contextlib.suppress(ValueError):
                _entered.reset(mark)
                context.detach(token)


def trace_headers() -> dict[str, str]:
    """Headers that tell the server which trace a request belongs to (W3C Trace Context by default)."""
    headers: dict[str, str] = {}
    if propagate is not None:
        propagate.inject(headers)
    return headers


class _Instruments:
    """OpenTelemetry's, which follow whatever SDK the application sets up, also later."""

    def __init__(self, meter: Meter, tracer: Tracer) -> None:
        self.tracer = tracer
        self._durations = meter.create_histogram(
            f"{_SCOPE}.operation.duration", "s", "How long operations took"
        )
        self._transferred = meter.create_counter(
            f"{_SCOPE}.transferred", "By", "Bytes of files sent and received"
        )

    def measure(self, done: Operation, seconds: float, failure: BaseException | None) -> None:
        """Record what an operation was, and end its span."""
        # A job's id would make a series of measurements for each job.
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
    assert metrics is not None  # noqa: S101 - without it, there is nothing of this
    assert trace is not None  # noqa: S101 - alike
    return _Instruments(metrics.get_meter(_SCOPE), trace.get_tracer(_SCOPE))
