"""Async, strictly typed client for the CL Server media compute service.

Every name is imported when it is first used, so that ``import cl_client`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cl_client.auth import AuthProvider, JWTAuthProvider, NoAuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.concurrency import map_concurrently
    from cl_client.config import ComputeClientConfig
    from cl_client.exceptions import (
        AuthenticationError,
        ClientClosedError,
        ComputeClientError,
        ConfigurationError,
        HTTPError,
        InvalidParameterError,
        InvalidRequestError,
        InvalidResponseError,
        JobFailedError,
        JobFileNotFoundError,
        JobFilesError,
        JobNotFinishedError,
        JobNotFoundError,
        JobTimeoutError,
        MissingExtraError,
        PermissionDeniedError,
        RequestTimeoutError,
        ServerBusyError,
        ServerError,
        ServerUnavailableError,
        UnknownTaskError,
        WorkerUnavailableError,
    )
    from cl_client.models import (
        JobEvent,
        JobResponse,
        JobStatus,
        JSONObject,
        ServerHealth,
        TaskOutput,
        WorkerCapabilities,
        WorkerCapability,
    )
    from cl_client.mqtt_monitor import MQTTJobMonitor
    from cl_client.transfers import FileSource, base_name

_MODULES = {
    "auth": ("AuthProvider", "JWTAuthProvider", "NoAuthProvider"),
    "compute_client": ("ComputeClient",),
    "concurrency": ("map_concurrently",),
    "config": ("ComputeClientConfig",),
    "exceptions": (
        "AuthenticationError",
        "ClientClosedError",
        "ComputeClientError",
        "ConfigurationError",
        "HTTPError",
        "InvalidParameterError",
        "InvalidRequestError",
        "InvalidResponseError",
        "JobFailedError",
        "JobFileNotFoundError",
        "JobFilesError",
        "JobNotFinishedError",
        "JobNotFoundError",
        "JobTimeoutError",
        "MissingExtraError",
        "PermissionDeniedError",
        "RequestTimeoutError",
        "ServerBusyError",
        "ServerError",
        "ServerUnavailableError",
        "UnknownTaskError",
        "WorkerUnavailableError",
    ),
    "models": (
        "JSONObject",
        "JobEvent",
        "JobResponse",
        "JobStatus",
        "ServerHealth",
        "TaskOutput",
        "WorkerCapabilities",
        "WorkerCapability",
    ),
    "mqtt_monitor": ("MQTTJobMonitor",),
    "transfers": ("FileSource", "base_name"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__version__ = "0.1.0"

__all__ = [
    "AuthProvider",
    "AuthenticationError",
    "ClientClosedError",
    "ComputeClient",
    "ComputeClientConfig",
    "ComputeClientError",
    "ConfigurationError",
    "FileSource",
    "HTTPError",
    "InvalidParameterError",
    "InvalidRequestError",
    "InvalidResponseError",
    "JSONObject",
    "JWTAuthProvider",
    "JobEvent",
    "JobFailedError",
    "JobFileNotFoundError",
    "JobFilesError",
    "JobNotFinishedError",
    "JobNotFoundError",
    "JobResponse",
    "JobStatus",
    "JobTimeoutError",
    "MQTTJobMonitor",
    "MissingExtraError",
    "NoAuthProvider",
    "PermissionDeniedError",
    "RequestTimeoutError",
    "ServerBusyError",
    "ServerError",
    "ServerHealth",
    "ServerUnavailableError",
    "TaskOutput",
    "UnknownTaskError",
    "WorkerCapabilities",
    "WorkerCapability",
    "WorkerUnavailableError",
    "base_name",
    "map_concurrently",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'cl_client' has no attribute {name!r}")
    module = import_module(f"cl_client.{_MODULE_OF[name]}")
    value = cast("object", getattr(module, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
