"""Async, strictly typed client for the CL Server media compute service.

Every name is imported when it is first used, so that ``import cl_client`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cl_client.admin_client import AdminClient, CleanupResult, GuestMode, StorageUsage
    from cl_client.auth import AuthProvider, JWTAuthProvider, NoAuthProvider
    from cl_client.auth_client import AuthClient
    from cl_client.auth_models import PublicKey, Token, TokenClaims, User
    from cl_client.choices import MAX_PRIORITY, MQTT_OFF, HashAlgorithm, ImageFormat
    from cl_client.compute_client import ComputeClient
    from cl_client.concurrency import map_concurrently
    from cl_client.config import ComputeClientConfig
    from cl_client.exceptions import (
        AuthenticationError,
        ClientClosedError,
        ComputeClientError,
        ConfigurationError,
        DestinationExistsError,
        FileWriteError,
        HTTPError,
        InvalidParameterError,
        InvalidRequestError,
        InvalidResponseError,
        InvalidTokenError,
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
        UploadNotRepeatableError,
        WorkerUnavailableError,
    )
    from cl_client.models import (
        JobEvent,
        JobResponse,
        JobStatus,
        JSONObject,
        ServerHealth,
        TaskOutput,
        TaskParams,
        WorkerCapabilities,
        WorkerCapability,
    )
    from cl_client.mqtt_monitor import MQTTJobMonitor
    from cl_client.mqtt_types import MQTTCredentials
    from cl_client.password_auth import PasswordAuthProvider
    from cl_client.plugins.base import BasePluginClient
    from cl_client.session import Session
    from cl_client.token_store import TokenStore
    from cl_client.transfers import (
        ByteProgress,
        FileSource,
        FilesProgress,
        JobFileStream,
        UploadStream,
        base_name,
    )

_MODULES = {
    "admin_client": ("AdminClient", "CleanupResult", "GuestMode", "StorageUsage"),
    "auth": ("AuthProvider", "JWTAuthProvider", "NoAuthProvider"),
    "auth_client": ("AuthClient",),
    "choices": ("MAX_PRIORITY", "MQTT_OFF", "HashAlgorithm", "ImageFormat"),
    "auth_models": ("PublicKey", "Token", "TokenClaims", "User"),
    "compute_client": ("ComputeClient",),
    "concurrency": ("map_concurrently",),
    "config": ("ComputeClientConfig",),
    "exceptions": (
        "AuthenticationError",
        "ClientClosedError",
        "ComputeClientError",
        "ConfigurationError",
        "DestinationExistsError",
        "FileWriteError",
        "HTTPError",
        "InvalidParameterError",
        "InvalidRequestError",
        "InvalidResponseError",
        "InvalidTokenError",
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
        "UploadNotRepeatableError",
        "WorkerUnavailableError",
    ),
    "models": (
        "JSONObject",
        "JobEvent",
        "JobResponse",
        "JobStatus",
        "ServerHealth",
        "TaskOutput",
        "TaskParams",
        "WorkerCapabilities",
        "WorkerCapability",
    ),
    "mqtt_monitor": ("MQTTJobMonitor",),
    "mqtt_types": ("MQTTCredentials",),
    "password_auth": ("PasswordAuthProvider",),
    "plugins.base": ("BasePluginClient",),
    "session": ("Session",),
    "token_store": ("TokenStore",),
    "transfers": (
        "ByteProgress",
        "FileSource",
        "FilesProgress",
        "JobFileStream",
        "UploadStream",
        "base_name",
    ),
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
    "ServerUnavailableError",
    "Session",
    "StorageUsage",
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
