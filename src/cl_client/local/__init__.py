"""A complete compute service in one process, for trying things out and for tests.

`LocalServer` needs the optional extra ``local``; it is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cl_client.local.server import LocalServer

__all__ = ["LocalServer"]


def __getattr__(name: str) -> type[LocalServer]:
    if name != "LocalServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from cl_client.local.server import LocalServer
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "cl_client":
            raise
        message = f"The local server needs {exc.name!r}: pip install 'cl_client[local]'"
        raise ImportError(message, name=exc.name) from exc
    return LocalServer
