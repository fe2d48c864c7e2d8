"""HTTP/2 against a server that speaks it, and one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING

from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half is untyped
from hypercorn.config import Config

from cl_client import ComputeClient, ComputeClientConfig
from cl_client.local import LocalServer, ServerTLS
from patience import SECONDS, within
from support import TLSFiles, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

CONTENT = bytes(range(256)) * 20_000


class App:
    """Takes uploads, and serves one file."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.received = 0

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        self.seen.append((scope["http_version"], scope["path"]))
        while True:
            message = await receive()
            if message["type"] != "http.request":
                break
            self.received += len(message["body"])
            if not message["more_body"]:
                break
        job = b'{"job_id": "j", "task_type": "hash", "status": "queued"}'
        body = CONTENT if "/files/" in scope["path"] else job
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


@contextlib.asynccontextmanager
async def serving(app: App, tls: TLSFiles) -> AsyncGenerator[str]:
    config = Config()
    address = f"127.0.0.1:{free_port()}"
    config.bind = [address]
    config.certfile, config.keyfile = str(tls.server_cert), str(tls.server_key)
    config.loglevel = "ERROR"
    stop = asyncio.Event()
    running = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield f"https://{address}"
    finally:
        stop.set()
        await running


async def test_up_and_down_over_http2(tls_files: TLSFiles, tmp_path: Path) -> None:
    app = App()
    async with serving(app, tls_files) as url:
        config = ComputeClientConfig.create(base_url=url, mqtt_broker="off", http2=True, ca_file=tls_files.ca)
        async with ComputeClient(config=config) as client:
            assert (await client.get_job("j")).status == "queued"  # retried until the server listens
            jobs = await asyncio.gather(*(client.hash.compute(CONTENT) for _ in range(4)))
            assert {job.job_id for job in jobs} == {"j"}
            path = await client.download_job_file("j", "output/a", tmp_path / "a")
            assert (await client.get_job("j")).status == "queued"
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
    assert {(version, path.startswith("/jobs/hash")) for version, path in app.seen} == {
        ("2", False),
        ("1.1", True),  # over HTTP/2, the refusal of an upload would not be heard
    }
    assert app.received > 4 * len(CONTENT)


async def test_calls_cancelled_twice_in_a_row_hold_up_no_other(tls_files: TLSFiles) -> None:
    app = App()
    async with serving(app, tls_files) as url:
        config = ComputeClientConfig.create(
            base_url=url,
            mqtt_broker="off",
            http2=True,
            ca_file=tls_files.ca,
            pool_maxsize=10,
            timeout=2 * SECONDS,
        )
        async with ComputeClient(config=config) as client:
            assert (await client.get_job("j")).status == "queued"
            for turns in range(40):
                calls = [asyncio.ensure_future(client.read_job_file("j", "a")) for _ in range(10)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            async with within():
                jobs = await asyncio.gather(*(client.get_job(f"j{n}") for n in range(100)))
            assert {job.status for job in jobs} == {"queued"}
    assert {version for version, _ in app.seen} == {"2"}


async def test_a_server_without_http2(tls_files: TLSFiles) -> None:
    tls = ServerTLS(tls_files.server_cert, tls_files.server_key)
    with LocalServer(workers=1, tasks=["hash"], tls=tls) as server:
        config = ComputeClientConfig.create(
            base_url=server.base_url, mqtt_broker=server.mqtt_url, http2=True, ca_file=tls_files.ca
        )
        async with ComputeClient(config=config) as client:
            assert (await client.hash.compute(CONTENT, wait=True)).status == "completed"
