"""The same call for many inputs: a few at a time, however many inputs there are."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeAlias, TypeVar

from cl_client._errors import ComputeClientError, InvalidParameterError

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")

Inputs: TypeAlias = Iterable[InputT] | AsyncIterable[InputT]
"""Where inputs come from, one by one as they are needed, so that it may be endless."""

Outcomes: TypeAlias = AsyncGenerator[tuple[InputT, ResultT | Exception]]
"""Each input with its result, or with the error that took its place."""

DEFAULT_CONCURRENCY: Final = 4


def checked_concurrency(concurrency: int, pool_maxsize: int) -> int:
    """The number itself, if the client's connections suffice for it.

    Raises:
        InvalidParameterError: It is not in the range from 1 to the client's ``pool_maxsize``.
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
    """Call a function for each input and yield the outcomes in the order in which they are ready.

    An input is taken only when there is a place for it, so memory stays flat for any number of inputs. An
    error of one call is that input's outcome and ends nothing else, and so is a `ComputeClientError` for a
    call that was cancelled from within. An error of ``inputs`` itself is raised after the outcomes of what
    had been taken before.

    Leaving the loop early cancels the calls that still run. Whoever needs that to be over before the next
    statement uses ``contextlib.aclosing``:

        async with aclosing(map_concurrently(call, paths)) as outcomes:
            async for path, outcome in outcomes:
                ...

    Args:
        call: A coroutine function, or another function that returns an awaitable.
        inputs: Any iterable, also an asynchronous one. Its items are taken on the event loop; what blocks for
            long belongs into an asynchronous one.
        concurrency: How many inputs may be under way at once, at least 1; waiting for the loop's body counts.

    Raises:
        InvalidParameterError: ``concurrency`` is below 1, or ``inputs`` is one file rather than many.
    """
    if concurrency < 1:
        raise InvalidParameterError(f"concurrency={concurrency!r}: must be at least 1")
    if isinstance(inputs, str | bytes | io.IOBase):  # these are iterable, but nobody means their parts
        raise InvalidParameterError(f"{inputs!r:.80} is a single input; put it into a list")
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
    # Bounded by the slots; None wakes the loop below when the inputs have ended.
    ended: asyncio.Queue[tuple[InputT, asyncio.Future[ResultT]] | None] = asyncio.Queue()
    running: set[asyncio.Future[ResultT]] = set()

    async def feed() -> None:
        await slots.acquire()
        async for item in inputs:
            start(item)
            await slots.acquire()

    async def called(item: InputT) -> ResultT:
        return await call(item)  # which may raise before there is anything to await

    def start(item: InputT) -> None:
        def end(future: asyncio.Future[ResultT]) -> None:
            running.discard(future)
            ended.put_nowait((item, future))
            if not future.cancelled():
                future.exception()  # or asyncio complains of those that nobody asks for who leaves early

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
    if future.cancelled():  # by the call itself: whoever leaves the loop is given no more outcomes
        return ComputeClientError("The call for this input was cancelled from within.")
    try:
        return future.result()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it belongs to its input
        return exc
