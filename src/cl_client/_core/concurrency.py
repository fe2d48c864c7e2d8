"""Call a function for many inputs, a limited number at a time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeAlias, TypeVar

from cl_client._errors import ComputeClientError, InvalidParameterError

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")

Inputs: TypeAlias = Iterable[InputT] | AsyncIterable[InputT]
"""The inputs. They are taken one by one as needed, so the iterable may be endless."""

Outcomes: TypeAlias = AsyncGenerator[tuple[InputT, ResultT | Exception]]
"""Each input with its result, or with the error that it raised."""

DEFAULT_CONCURRENCY: Final = 4


def checked_concurrency(concurrency: int, pool_maxsize: int) -> int:
    """Check a concurrency against the size of the client's connection pool.

    Args:
        concurrency: Number of inputs to process at the same time.
        pool_maxsize: The client's ``pool_maxsize``.

    Returns:
        ``concurrency``, unchanged.

    Raises:
        InvalidParameterError: ``concurrency`` is not between 1 and ``pool_maxsize``.
    """
    if not 1 <= concurrency <= pool_maxsize:
        raise InvalidParameterError(
            f"concurrency={concurrency!r}: must be 1-{pool_maxsize}, the client's pool_maxsize"
        )
    return concurrency


def map_concurrently(
    call: Callable[[InputT], Awaitable[ResultT]],
    inputs: Inputs[InputT],
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> Outcomes[InputT, ResultT]:
    """Call a function for each input and yield the outcomes in the order in which they finish.

    An input is taken only when a slot is free, so memory use does not grow with the number of inputs. If a
    call raises an error, that error is the input's outcome, and the other calls continue. A call that cancels
    itself gets a `ComputeClientError` as its outcome. An error of ``inputs`` itself is raised after the
    outcomes of the inputs that were taken before it.

    Leaving the loop early cancels the calls that are still running. To wait for that before the next
    statement, use ``contextlib.aclosing``:

        async with aclosing(map_concurrently(call, paths)) as outcomes:
            async for path, outcome in outcomes:
                ...

    Args:
        call: A coroutine function, or another function that returns an awaitable.
        inputs: Any iterable or async iterable. Its items are taken on the event loop, so use an async
            iterable if producing an item blocks for long.
        concurrency: Maximum number of inputs in progress at the same time, at least 1. An outcome that waits
            for the loop's body counts too.

    Returns:
        An async generator of pairs: the input, and its result or the exception that it raised.

    Raises:
        InvalidParameterError: ``concurrency`` is below 1, or ``inputs`` is a single file.
    """
    if concurrency < 1:
        raise InvalidParameterError(f"concurrency={concurrency!r}: must be at least 1")
    if isinstance(inputs, str | bytes | io.IOBase):  # iterable, but their items are never meant as inputs
        raise InvalidParameterError(f"{inputs!r:.80} is a single input; pass a list of inputs")
    return _outcomes(call, _one_by_one(inputs), concurrency)


async def _one_by_one(inputs: Inputs[InputT]) -> AsyncIterator[InputT]:
    if isinstance(inputs, AsyncIterable):
        async for item in inputs:
            yield item
    else:
        for item in inputs:
            yield item


async def _outcomes(
    call: Callable[[InputT], Awaitable[ResultT]], inputs: AsyncIterator[InputT], concurrency: int
) -> Outcomes[InputT, ResultT]:
    slots = asyncio.Semaphore(concurrency)
    # Bounded by the slots; None wakes the loop below after the last input.
    ended: asyncio.Queue[tuple[InputT, asyncio.Future[ResultT]] | None] = asyncio.Queue()
    running: set[asyncio.Future[ResultT]] = set()

    async def feed() -> None:
        await slots.acquire()
        async for item in inputs:
            start(item)
            await slots.acquire()

    async def called(item: InputT) -> ResultT:
        return await call(item)  # may raise before it returns an awaitable

    def start(item: InputT) -> None:
        def end(future: asyncio.Future[ResultT]) -> None:
            running.discard(future)
            ended.put_nowait((item, future))
            if not future.cancelled():
                future.exception()  # otherwise asyncio logs it, if the loop is left early and nobody reads it

        future = asyncio.ensure_future(called(item))
        running.add(future)
        future.add_done_callback(end)

    feeding = asyncio.create_task(feed())
    feeding.add_done_callback(lambda _: ended.put_nowait(None))
    try:
        while running or not ended.empty() or not feeding.done():
            if (one := await ended.get()) is not None:
                slots.release()
                item, future = one
                yield item, _outcome(future)
        feeding.result()
    finally:
        left = (feeding, *running)
        for future in left:
            future.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _outcome(future: asyncio.Future[ResultT]) -> ResultT | Exception:
    if future.cancelled():  # by the call itself: after the loop is left, no outcomes are created
        return ComputeClientError("The call for this input cancelled itself.")
    try:
        return future.result()
    except Exception as exc:  # noqa: BLE001 - any error is the outcome of its input
        return exc
