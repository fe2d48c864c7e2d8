"""Start-up stays cheap: nothing heavy is imported before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cl_client
from cl_client import plugins

if TYPE_CHECKING:
    from collections.abc import Callable

HEAVY = ("httpx", "paho", "pydantic", "cl_client.plugins", "cl_client.compute_client", "numpy")
LOADED = f"import sys; print([m for m in {HEAVY!r} if m in sys.modules])"


def test_import_loads_nothing(run_python: Callable[[str], str]) -> None:
    assert run_python(f"import cl_client; {LOADED}") == "[]"


def test_making_a_client_loads_no_plugin_and_needs_no_loop(run_python: Callable[[str], str]) -> None:
    code = (
        "import sys; from cl_client import ComputeClient; client = ComputeClient(); "
        f"print([m for m in sys.modules if m in {[s.module for s in plugins.PLUGINS.values()]!r}]); "
        "import threading; print(threading.active_count())"
    )
    assert run_python(code).splitlines() == ["[]", "1"]


def test_the_first_request_imports_nothing_on_the_loop(run_python: Callable[[str], str]) -> None:
    code = """
import asyncio, sys
from cl_client import ComputeClient

async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b'HTTP/1.1 200 OK\\r\\nContent-Length: 21\\r\\n\\r\\n{"status": "healthy"}')
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    async with server, ComputeClient(address, mqtt_broker="off") as client:
        before = set(sys.modules)
        assert (await client.health()).status == "healthy"
        print(sorted(set(sys.modules) - before))

asyncio.run(main())
"""
    assert run_python(code) == "[]"


def test_providers_and_sessions_load_no_keyring_before_they_need_it(run_python: Callable[[str], str]) -> None:
    code = (
        "import sys; from cl_client import AuthClient, PasswordAuthProvider, Session, TokenStore; "
        "PasswordAuthProvider('http://server', 'me', 'pw'); AuthClient('http://server'); TokenStore(); "
        "print([m for m in ('keyring', 'jwt', 'cryptography', 'platformdirs') if m in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_a_plugin_is_made_once() -> None:
    client = cl_client.ComputeClient()
    for name, spec in plugins.PLUGINS.items():
        made = cast("object", getattr(client, name))
        assert type(made).__name__ == spec.client
        assert made is getattr(client, name)


def test_all_names_resolve_and_are_sorted() -> None:
    assert cl_client.__all__ == sorted(cl_client.__all__, key=lambda name: (not name.isupper(), name))
    for name in cl_client.__all__:
        assert getattr(cl_client, name) is not None
    assert set(cl_client.__all__) <= set(dir(cl_client))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(cl_client, "NoSuchThing")


def test_the_clients_of_all_plugins_are_imported_when_they_are_named(
    run_python: Callable[[str], str],
) -> None:
    modules = [spec.module for spec in plugins.PLUGINS.values()]
    names = ", ".join([spec.client for spec in plugins.PLUGINS.values()])
    code = f"""
import sys, cl_client.plugins
print([m for m in {modules!r} if m in sys.modules])
from cl_client.plugins import HashClient
print([m for m in {modules!r} if m in sys.modules], HashClient.__module__)
from cl_client.plugins import BasePluginClient, {names}
print(issubclass(HlsStreamingClient, BasePluginClient), hasattr(cl_client.plugins, "SharpenClient"))
"""
    assert run_python(code).splitlines() == [
        "[]",
        "['cl_client.plugins.hash'] cl_client.plugins.hash",
        "True False",
    ]


def test_the_table_of_plugins_says_what_can_be_imported() -> None:
    assert {spec.client for spec in plugins.PLUGINS.values()} <= set(plugins.__all__) <= set(dir(plugins))
    for name in plugins.__all__:
        assert getattr(plugins, name) is not None


def test_all_providers_can_be_imported_from_auth(run_python: Callable[[str], str]) -> None:
    code = """
from cl_client.auth import AuthProvider, JWTAuthProvider, NoAuthProvider
from cl_client.auth import PasswordAuthProvider
import cl_client, cl_client.auth
print(PasswordAuthProvider is cl_client.PasswordAuthProvider, hasattr(cl_client.auth, "NoSuchThing"))
"""
    assert run_python(code) == "True False"


TASK_LIBRARIES = ("PIL", "av", "numpy", "onnxruntime", "pillow_heif")


def test_a_local_server_imports_only_what_its_settings_need(run_python: Callable[[str], str]) -> None:
    heavy = ("fastapi", "jwt", "cryptography", "argon2", *TASK_LIBRARIES)
    code = (
        "import sys; from cl_client.local import LocalServer\n"
        "with LocalServer(workers=1):\n"
        f"    print([m for m in {heavy!r} if m in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_an_idle_worker_has_imported_no_library_of_a_task(run_python: Callable[[str], str]) -> None:
    heavy = ("httpx", "httpcore", "paho", "starlette", "uvicorn", *TASK_LIBRARIES)
    code = f"import sys, cl_client.local.workers.program; print([m for m in {heavy!r} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_the_parameters_of_a_task_need_no_http(run_python: Callable[[str], str]) -> None:
    """A worker imports them for its first job."""
    modules = sorted({spec.module for spec in plugins.PLUGINS.values()})
    code = (
        f"import sys, importlib; [importlib.import_module(m) for m in {modules!r}]; "
        "print([m for m in ('httpx', 'httpcore', 'paho') if m in sys.modules])"
    )
    assert run_python(code) == "[]"
