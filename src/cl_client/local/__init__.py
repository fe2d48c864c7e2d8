"""A complete compute service in one process, for trying things out and for tests.

`LocalServer` and the other names here need the optional extra ``local``. Each is imported on first use.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cl_client.local.generations import Generation
    from cl_client.local.models.catalog import MODELS, ModelFile
    from cl_client.local.models.store import ModelStore
    from cl_client.local.models.users_models import users_models
    from cl_client.local.net.tls import ServerTLS
    from cl_client.local.samples import draw_samples
    from cl_client.local.server import LocalServer
    from cl_client.local.tasks import TaskSpec
    from cl_client.local.tasks.contract import TaskContext, TaskFailedError
    from cl_client.local.tasks.third_party import installed_tasks

__all__ = [
    "MODELS",
    "Generation",
    "LocalServer",
    "ModelFile",
    "ModelStore",
    "ServerTLS",
    "TaskContext",
    "TaskFailedError",
    "TaskSpec",
    "draw_samples",
    "installed_tasks",
    "users_models",
]

_MODULES = {
    "Generation": "generations",
    "LocalServer": "server",
    "MODELS": "models.catalog",
    "ModelFile": "models.catalog",
    "ModelStore": "models.store",
    "ServerTLS": "net.tls",
    "TaskContext": "tasks.contract",
    "TaskFailedError": "tasks.contract",
    "TaskSpec": "tasks",
    "draw_samples": "samples",
    "installed_tasks": "tasks.third_party",
    "users_models": "models.users_models",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return cast("object", pkgutil.resolve_name(f"cl_client.local.{_MODULES[name]}:{name}"))
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "cl_client":
            raise
        message = f"The local server needs {exc.name!r}: pip install 'cl_client[local]'"
        raise ImportError(message, name=exc.name) from exc
