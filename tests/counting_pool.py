"""A thread pool that counts the calls in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


class CountingPool(ThreadPoolExecutor):
    """Counts what is called in it."""

    calls = 0

    @override
    def submit(
        self, fn: Callable[ParamsT, ResultT], /, *args: ParamsT.args, **kwargs: ParamsT.kwargs
    ) -> Future[ResultT]:
        self.calls += 1
        return super().submit(fn, *args, **kwargs)
