"""What an operator can watch: each submit, upload, wait and download as a span, in metrics, and in logs.

Spans and metrics are OpenTelemetry's, there with the extra ``otel`` and an SDK that the application sets up;
without them this costs next to nothing. Names of attributes: ``cl.job.id``, ``cl.job.status``, ``cl.task``.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cl_client._core.log import about_job

try:  # here, and not on the event loop inside of the first request
    from opentelemetry import context, metrics, propagate, trace
except ImportError:
    context = metrics = propagate = trace = None

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.trace import Span, Tracer

OperationName: TypeAlias = Literal["submit", "upload", "wait", "download"]

_SCOPE: Final = "cl_client"

_entered: ContextVar[bool] = ContextVar("cl_client_span_entered")


class Operation:
    """One operation under way.

    Attributes:
        transferred: Bytes of files that went over the wire in it.
    """

    def __init__(self, name: OperationName, span: Span | None) -> None:
        self.name = name
        self.transferred = 0
        self._span = span
        self._task: str | None = None

    def note(self, *, job_id: str | None = None, task: str | None = None, status: str | None = None) -> None:
        """Add what has become known."""
        self._task = task or self._task
        if self._span is not None:
            known = {"cl.job.id": job_id, "cl.task": task, "cl.job.status": status}
            self._span.set_attributes({key: value for key, value in known.items() if value})

    @property
    def metric_attributes(self) -> dict[str, str]:
        """What tells one series of measurements from another; a job's id would make one for each."""
        return {"operation": self.name} | ({"cl.task": self._task} if self._task else {})


@contextlib.contextmanager
def operation(
    name: OperationName, *, job_id: str | None = None, task: str | None = None
) -> Generator[Operation]:
    """Log, trace and measure what runs inside as one operation."""
    with about_job(job_id) if job_id else contextlib.nullcontext():
        instruments = _instruments()
        if instruments is None:
            yield Operation(name, None)
            return
        with instruments.span(f"{_SCOPE}.{name}") as span:
            under_way = Operation(name, span)
            under_way.note(job_id=job_id, task=task)
            with instruments.measured(under_way):
                yield under_way


def trace_headers() -> dict[str, str]:
    """Headers that tell the server which trace a request belongs to (W3C Trace Context by default)."""
    headers: dict[str, str] = {}
    if propagate is not None:
        propagate.inject(headers)
    return headers


class _Instruments:
    def __init__(self, tracer: Tracer, durations: Histogram, transferred: Counter) -> None:
        self._tracer = tracer
        self._durations = durations
        self._transferred = transferred

    @contextlib.contextmanager
    def span(self, name: str) -> Generator[Span]:
        """A span that is the current one inside; OpenTelemetry's own way has to be left where it began."""
        assert trace is not None  # noqa: S101 - without it, there is nothing of this
        span = self._tracer.start_span(name)
        try:
            with _current(span):
                yield span
        except Exception as exc:
            span.record_exception(exc)
            span.set_status(trace.StatusCode.ERROR, f"{type(exc).__name__}: {exc}")
            raise
        finally:
            span.end()

    @contextlib.contextmanager
    def measured(self, under_way: Operation) -> Generator[None]:
        begun = time.perf_counter()
        error: dict[str, str] = {}
        try:
            yield
        except BaseException as exc:
            error = {"error.type": type(exc).__qualname__}
            raise
        finally:
            attributes = under_way.metric_attributes
            self._durations.record(time.perf_counter() - begun, attributes | error)
            if under_way.transferred:
                self._transferred.add(under_way.transferred, attributes)


@contextlib.contextmanager
def _current(span: Span) -> Generator[None]:
    assert context is not None  # noqa: S101 - there is a span
    assert trace is not None  # noqa: S101 - alike
    token, mark = context.attach(trace.set_span_in_context(span)), _entered.set(True)
    try:
        yield
    finally:
        # A file that is open may be closed by another task, in whose context there is nothing to put back.
        with contextlib.suppress(ValueError):
            _entered.reset(mark)
            context.detach(token)


@cache
def _instruments() -> _Instruments | None:
    """OpenTelemetry's, which follow whatever SDK the application sets up, also later; None without it."""
    if metrics is None or trace is None:
        return None
    meter = metrics.get_meter(_SCOPE)
    return _Instruments(
        trace.get_tracer(_SCOPE),
        meter.create_histogram(f"{_SCOPE}.operation.duration", "s", "How long operations took"),
        meter.create_counter(f"{_SCOPE}.transferred", "By", "Bytes of files sent and received"),
    )
