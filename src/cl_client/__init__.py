"""Async, strictly typed client for the CL Server media compute service.

Every name is imported on first use, so that ``import cl_client`` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cl_client._auth.client import AuthClient
    from cl_client._auth.models import PublicKey, Token, TokenClaims, User
    from cl_client._auth.password import PasswordAuthProvider
    from cl_client._auth.providers import AuthProvider, JWTAuthProvider, NoAuthProvider
    from cl_client._auth.token_store import TokenStore
    from cl_client._client.admin import AdminClient, CleanupResult, GuestMode, StorageUsage
    from cl_client._core.choices import MAX_PRIORITY, MQTT_OFF, HashAlgorithm, ImageFormat
    from cl_client._core.concurrency import map_concurrently
    from cl_client._errors import (
        ClientClosedError,
        ComputeClientError,
        ConfigurationError,
        DestinationExistsError,
        FileWriteError,
        InvalidParameterError,
        InvalidResponseError,
        InvalidTokenError,
        JobFilesError,
        MissingExtraError,
        ServerPathRefusedError,
        UnknownTaskError,
        UploadNotRepeatableError,
        WorkerUnavailableError,
    )
    from cl_client._http_errors import (
        AuthenticationError,
        HTTPError,
        InvalidRequestError,
        JobFileNotFoundError,
        JobNotFoundError,
        PermissionDeniedError,
        RequestTimeoutError,
        ServerBusyError,
        ServerError,
        ServerUnavailableError,
    )
    from cl_client._mqtt.address import MQTTCredentials
    from cl_client._transfers.download import JobFileStream
    from cl_client._transfers.names import base_name
    from cl_client._transfers.progress import FilesProgress
    from cl_client.compute_client import ComputeClient
    from cl_client.config import ComputeClientConfig
    from cl_client.models import (
        JobEvent,
        JobFailedError,
        JobNotFinishedError,
        JobResponse,
        JobStatus,
        JobTimeoutError,
        JSONObject,
        ServerHealth,
        TaskOutput,
        TaskParams,
        WorkerCapabilities,
        WorkerCapability,
    )
    from cl_client.mqtt_monitor import MQTTJobMonitor
    from cl_client.options import ByteProgress, FileSource, ServerPath, SubmitOptions, UploadStream
    from cl_client.plugins.base import BasePluginClient
    from cl_client.session import Session

_MODULES = {
    "_auth.client": ("AuthClient",),
    "_auth.models": (
        "PublicKey",
        "Token",
        "TokenClaims",
        "User",
    ),
    "_auth.password": ("PasswordAuthProvider",),
    "_auth.providers": (
        "AuthProvider",
        "JWTAuthProvider",
        "NoAuthProvider",
    ),
    "_auth.token_store": ("TokenStore",),
    "_client.admin": (
        "AdminClient",
        "CleanupResult",
        "GuestMode",
        "StorageUsage",
    ),
    "_core.choices": (
        "MAX_PRIORITY",
        "MQTT_OFF",
        "HashAlgorithm",
        "ImageFormat",
    ),
    "_core.concurrency": ("map_concurrently",),
    "_errors": (
        "ClientClosedError",
        "ComputeClientError",
        "ConfigurationError",
        "DestinationExistsError",
        "FileWriteError",
        "InvalidParameterError",
        "InvalidResponseError",
        "InvalidTokenError",
        "JobFilesError",
        "MissingExtraError",
        "ServerPathRefusedError",
        "UnknownTaskError",
        "UploadNotRepeatableError",
        "WorkerUnavailableError",
    ),
    "_http_errors": (
        "AuthenticationError",
        "HTTPError",
        "InvalidRequestError",
        "JobFileNotFoundError",
        "JobNotFoundError",
        "PermissionDeniedError",
        "RequestTimeoutError",
        "ServerBusyError",
        "ServerError",
        "ServerUnavailableError",
    ),
    "_mqtt.address": ("MQTTCredentials",),
    "_transfers.download": ("JobFileStream",),
    "_transfers.names": ("base_name",),
    "_transfers.progress": ("FilesProgress",),
    "compute_client": ("ComputeClient",),
    "config": ("ComputeClientConfig",),
    "models": (
        "JSONObject",
        "JobEvent",
        "JobFailedError",
        "JobNotFinishedError",
        "JobResponse",
        "JobStatus",
        "JobTimeoutError",
        "ServerHealth",
        "TaskOutput",
        "TaskParams",
        "WorkerCapabilities",
        "WorkerCapability",
    ),
    "mqtt_monitor": ("MQTTJobMonitor",),
    "options": ("ByteProgress", "FileSource", "ServerPath", "SubmitOptions", "UploadStream"),
    "plugins.base": ("BasePluginClient",),
    "session": ("Session",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__version__ = "0.1.0"

__all__ = [
    "MAX_PRIORITY",
    "MQTT_OFF",
    "AdminClient",
    "AuthClient",
    "AuthProvider",
    "AuthenticationError",
    "BasePluginClient",
    "ByteProgress",
    "CleanupResult",
    "ClientClosedError",
    "ComputeClient",
    "ComputeClientConfig",
    "ComputeClientError",
    "ConfigurationError",
    "DestinationExistsError",
    "FileSource",
    "FileWriteError",
    "FilesProgress",
    "GuestMode",
    "HTTPError",
    "HashAlgorithm",
    "ImageFormat",
    "InvalidParameterError",
    "InvalidRequestError",
    "InvalidResponseError",
    "InvalidTokenError",
    "JSONObject",
    "JWTAuthProvider",
    "JobEvent",
    "JobFailedError",
    "JobFileNotFoundError",
    "JobFileStream",
    "JobFilesError",
    "JobNotFinishedError",
    "JobNotFoundError",
    "JobResponse",
    "JobStatus",
    "JobTimeoutError",
    "MQTTCredentials",
    "MQTTJobMonitor",
    "MissingExtraError",
    "NoAuthProvider",
    "PasswordAuthProvider",
    "PermissionDeniedError",
    "PublicKey",
    "RequestTimeoutError",
    "ServerBusyError",
    "ServerError",
    "ServerHealth",
    "ServerPath",
    "ServerPathRefusedError",
    "ServerUnavailableError",
    "Session",
    "StorageUsage",
    "SubmitOptions",
    "TaskOutput",
    "TaskParams",
    "Token",
    "TokenClaims",
    "TokenStore",
    "UnknownTaskError",
    "UploadNotRepeatableError",
    "UploadStream",
    "User",
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
