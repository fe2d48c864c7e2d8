"""What an operator can watch: each submit, upload, wait and download as a span, in metrics, and in logs.

Spans and metrics are OpenTelemetry's, there with the extra ``otel`` and an SDK that the application sets up;
without them this costs next to nothing. Names of attributes: ``cl.job.id``, ``cl.job.status``, ``cl.task``.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from cl_client._core.log import about_job

try:  # here, and not on the event loop inside of the first request
    from opentelemetry import context, metrics, propagate, trace
except ImportError:
    context = metrics = propagate = trace = None

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.trace import Span, Tracer

OperationName: TypeAlias = Literal["submit", "upload", "wait", "download"]

_SCOPE: Final = "cl_client"

_innermost: ContextVar[object] = ContextVar("cl_client_operation")


class operation:  # noqa: N801 - used like a function, in a `with` statement
    """Logs, traces and measures what runs inside as one operation.

    It may be left in another task than it was entered in, as when a file that is open is closed elsewhere.

    Args:
        name: What is done.
        job_id: The job it is about, where that is known already.
        task: The job's task.

    Attributes:
        transferred: Bytes of files that went over the wire in it.
    """

    def __init__(self, name: OperationName, *, job_id: str | None = None, task: str | None = None) -> None:
        self.transferred = 0
        self._name = name
        self._job_id = job_id
        self._task = task
        self._about: AbstractContextManager[None] | None = None
        self._span: Span | None = None
        self._attached: tuple[Token[Context], Token[object]] | None = None
        self._begun = 0.0

    def __enter__(self) -> Self:
        if self._job_id:
            self._about = about_job(self._job_id)
            self._about.__enter__()
        instruments = _instruments()
        if instruments is not None and context is not None and trace is not None:
            self._span = instruments.tracer.start_span(f"{_SCOPE}.{self._name}")
            # OpenTelemetry's own way to make it the current one has to be left where it began.
            in_it = trace.set_span_in_context(self._span)
            self._attached = context.attach(in_it), _innermost.set(self)
            self.note(job_id=self._job_id, task=self._task)
            self._begun = time.perf_counter()
        return self

    def note(self, *, job_id: str | None = None, task: str | None = None, status: str | None = None) -> None:
        """Add what has become known."""
        self._task = task or self._task
        if self._span is not None:
            known = {"cl.job.id": job_id, "cl.task": task, "cl.job.status": status}
            self._span.set_attributes({key: value for key, value in known.items() if value})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        instruments = _instruments()
        if instruments is not None and self._span is not None:
            self._measure(instruments, kind)
            self._end(self._span, error)
        if self._about is not None:
            self._about.__exit__(kind, error, trace_back)

    def _measure(self, instruments: _Instruments, kind: type[BaseException] | None) -> None:
        # A job's id would make a series of measurements for each.
        attributes = {"operation": self._name} | ({"cl.task": self._task} if self._task else {})
        failed = {"error.type": kind.__qualname__} if kind else {}
        instruments.durations.record(time.perf_counter() - self._begun, attributes | failed)
        if self.transferred:
            instruments.transferred.add(self.transferred, attributes)

    def _end(self, span: Span, error: BaseException | None) -> None:
        if self._attached is not None and context is not None:
            in_context, mark = self._attached
            with contextlib.suppress(ValueError):  # in another task there is nothing to put back
                _innermost.reset(mark)
                context.detach(in_context)
        if isinstance(error, Exception) and trace is not None:
            span.record_exception(error)
            span.set_status(trace.StatusCode.ERROR, f"{type(error).__name__}: {error}")
        span.end()


def trace_headers() -> dict[str, str]:
    """Headers that tell the server which trace a request belongs to (W3C Trace Context by default)."""
    headers: dict[str, str] = {}
    if propagate is not None:
        propagate.inject(headers)
    return headers


class _Instruments(NamedTuple):
    tracer: Tracer
    durations: Histogram
    transferred: Counter


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
