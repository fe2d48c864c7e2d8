"""The resources of a client: its own, or those shared with another client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client._core.threads import running_loop
from cl_client._errors import ClientClosedError, ComputeClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._client.runtime import Runtime
    from cl_client.config import ComputeClientConfig


class ClientPart(ABC):
    """The base of the parts of `ComputeClient`: its settings and resources."""

    config: ComputeClientConfig

    @abstractmethod
    def _open(self) -> Runtime:
        """The resources of the running loop, opened."""


class Resources:
    """The resources of one client, created on first use on the running loop.

    Args:
        make: Creates the resources for the running loop.
    """

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._make = make
        self._runtime: Runtime | None = None
        self._closing: set[Runtime] = set()
        self._closed = False

    @property
    def current(self) -> Runtime | None:
        """The resources, if they exist already."""
        return self._runtime

    def made(self) -> Runtime:
        """Get the resources of the running loop; create them on first use, without starting MQTT.

        Returns:
            The resources.

        Raises:
            ClientClosedError: The client is closed.
            ComputeClientError: The client is in use on another event loop.
        """
        runtime = self._runtime
        if runtime is not None and _is_abandoned(runtime):
            runtime.abandon()
            runtime = None
        if runtime is None:
            if self._closed:
                raise ClientClosedError
            running_loop()  # raises without a running loop
            runtime = self._runtime = self._make()
        return runtime

    def reopen(self) -> None:
        """Allow the next use to create new resources after `close`."""
        self._closed = False

    async def close(self) -> None:
        """Close the resources; concurrent calls wait until they are closed. Idempotent.

        Raises:
            ComputeClientError: The client is in use on another event loop that is not closed.
        """
        if self._runtime is not None:
            _is_abandoned(self._runtime)
            self._closing.add(self._runtime)
            self._runtime = None
        self._closed = True
        for runtime in tuple(self._closing):  # also one whose closing is running or was cancelled
            await (runtime.close_abandoned() if _is_abandoned(runtime) else runtime.close())
            self._closing.discard(runtime)


class SharedResources(Resources):
    """The resources of another client, used with other settings. That client opens and closes them.

    Args:
        owner: The resources of the other client.
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
        """Do nothing: the owner opens the resources."""

    @override
    async def close(self) -> None:
        """Do nothing: the owner closes the resources."""


def _is_abandoned(runtime: Runtime) -> bool:
    """Check whether the loop was closed; raise if it is another loop that is still in use."""
    if runtime.loop is running_loop():
        return False
    if not runtime.loop.is_closed():
        raise ComputeClientError(
            "This client is in use on another event loop; create one client per loop, and close it there"
        )
    return True
