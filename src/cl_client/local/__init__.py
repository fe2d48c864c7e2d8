"""A complete compute service in one process, for trying things out and for tests.

`LocalServer` and what it is told need the optional extra ``local``; they are imported when they are first
asked for.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cl_client.local.server import LocalServer
    from cl_client.local.server_tls import ServerTLS

__all__ = ["LocalServer", "ServerTLS"]

_MODULES = {"LocalServer": "server", "ServerTLS": "server_tls"}


def __getattr__(name: str) -> type[LocalServer | ServerTLS]:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = cast(
            "type[LocalServer | ServerTLS]", pkgutil.resolve_name(f"cl_client.local.{_MODULES[name]}:{name}")
        )
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "cl_client":
            raise
        message = f"The local server needs {exc.name!r}: pip install 'cl_client[local]'"
        raise ImportError(message, name=exc.name) from exc
    return found
