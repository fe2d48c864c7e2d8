"""Who owns a client's resources: the client itself, or the one that it shares them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client._core.threads import running_loop
from cl_client._errors import ClientClosedError, ComputeClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._client.runtime import Runtime
    from cl_client.config import ComputeClientConfig


class Resources:
    """The resources of one client, made on first use on the running loop.

    Args:
        make: Makes them, for the running loop.
    """

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._make = make
        self._runtime: Runtime | None = None
        self._closing: set[Runtime] = set()
        self._closed = False

    @property
    def current(self) -> Runtime | None:
        """What is there already, if anything."""
        return self._runtime

    def made(self) -> Runtime:
        """What there is for the running loop, made on first use, without the thread for MQTT.

        Raises:
            ClientClosedError: They were closed.
            ComputeClientError: They are in use on another event loop.
        """
        runtime = self._runtime
        if runtime is not None and _is_abandoned(runtime):
            runtime.abandon()
            runtime = None
        if runtime is None:
            if self._closed:
                raise ClientClosedError
            running_loop()  # or this is no place for it
            runtime = self._runtime = self._make()
        return runtime

    def reopen(self) -> None:
        """Let the next use make new ones, although they were closed."""
        self._closed = False

    async def close(self) -> None:
        """End everything; whoever asks for it meanwhile waits for that. Idempotent.

        Raises:
            ComputeClientError: They are in use on another event loop, which is not closed.
        """
        if self._runtime is not None:
            _is_abandoned(self._runtime)
            self._closing.add(self._runtime)
            self._runtime = None
        self._closed = True
        for runtime in tuple(self._closing):  # also one that somebody else closes, or was cancelled at
            await (runtime.close_abandoned() if _is_abandoned(runtime) else runtime.close())
            self._closing.discard(runtime)


class SharedResources(Resources):
    """The resources of another client, used with other settings; opened and closed by that one.

    Args:
        owner: Who has them.
        config: The settings.
    """

    def __init__(self, owner: Resources, config: ComputeClientConfig) -> None:
        super().__init__(owner.made)
        self._owner = owner
        self._config = config
        self._seen: Runtime | None = None

    @property
    @override
    def current(self) -> Runtime | None:
        return self._owner.current

    @override
    def made(self) -> Runtime:
        owned = self._owner.made()
        if self._runtime is None or self._seen is not owned:
            self._seen, self._runtime = owned, owned.with_config(self._config)
        return self._runtime

    @override
    def reopen(self) -> None:
        """Nothing: whoever owns them opens them."""

    @override
    async def close(self) -> None:
        """Nothing: whoever owns them closes them."""


def _is_abandoned(runtime: Runtime) -> bool:
    """Whether its loop was closed; it must not be another one that is still in use."""
    if runtime.loop is running_loop():
        return False
    if not runtime.loop.is_closed():
        raise ComputeClientError(
            "This client is in use on another event loop; make one client for each loop, closed on it"
        )
    return True
