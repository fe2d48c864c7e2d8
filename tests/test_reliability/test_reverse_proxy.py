"""Behind nginx: limits, rewritten addresses, compression, short keep-alive, no server, WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, ComputeClientConfig, InvalidRequestError, ServerError
from cl_client.local import LocalServer
from cl_client.options import UploadStream
from patience import SECONDS, within
from support import TLSFiles, free_port, require

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from support import Mosquitto

NAMES = ("a b%2Fc.txt", "a+b&c;d=e.txt", "ä ö 日本.txt", "q'u(o)te~!@$,#.txt", "pct%zz%41.txt")
"""Of files; a proxy that rewrites an address decodes it, and encodes it in its own way."""
LARGE = 4 * 1024**2


@contextlib.asynccontextmanager
async def nginx(folder: Path, server: str) -> AsyncGenerator[int]:
    """nginx with these directives of a server; gives its port."""
    program, port = require("nginx"), free_port()
    parts = "".join(
        f"{part}_temp_path {folder}/{part};" for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}\n"
        f"http {{ access_log off; {parts} gzip on; gzip_types *; gzip_proxied any; proxy_http_version 1.1;\n"
        f"server {{ listen 127.0.0.1:{port}{server} }} }}\n"
    )
    arguments = [program, "-c", str(config), "-e", str(folder / "nginx.log")]
    process = await asyncio.create_subprocess_exec(*arguments, stderr=subprocess.DEVNULL)
    try:
        async with within():
            while process.returncode is None:
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        assert process.returncode is None, (folder / "nginx.log").read_text()
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def client_at(address: str, **settings: object) -> ComputeClient:
    values = {"base_url": address, "mqtt_broker": "off", "trust_env": False, "poll_min": 0.05, **settings}
    return ComputeClient(config=ComputeClientConfig.create(**values))


async def pieces() -> AsyncGenerator[bytes]:
    for _ in range(LARGE // 2**16):
        yield bytes(2**16)


async def test_names_of_files_survive_an_address_that_is_rewritten(tmp_path: Path) -> None:
    with LocalServer(workers=1, tasks=["hash"]) as server:
        async with (
            nginx(tmp_path, f"; location /cl/ {{ proxy_pass {server.base_url}/; }}") as port,
            client_at(f"http://127.0.0.1:{port}/cl/") as client,
        ):
            for name in NAMES:
                path = tmp_path / name
                path.write_text(name)
                job = await client.hash.compute(path, wait=True, timeout=SECONDS)
                assert job.params["input_path"] == f"input/{name}"
                got = await client.download_job_file(job.job_id, f"input/{name}", tmp_path / "got")
                assert got.read_text() == name


async def test_an_upload_above_the_limit_of_a_proxy(tmp_path: Path) -> None:
    async with (
        nginx(tmp_path, "; location / { proxy_pass http://127.0.0.1:9; }") as port,
        client_at(f"http://127.0.0.1:{port}") as client,
    ):
        for file in (bytes(LARGE), UploadStream(pieces, "a.bin", LARGE), UploadStream(pieces, "a.bin")):
            with pytest.raises(InvalidRequestError, match="413"):
                await client.hash.compute(file)


async def test_uploads_of_unknown_length_and_downloads_that_go_on(tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(LARGE))
    with LocalServer(workers=1, tasks=["hash"]) as server:
        rules = f"; client_max_body_size 0; location / {{ proxy_pass {server.base_url}; }}"
        async with nginx(tmp_path, rules) as port, client_at(f"http://127.0.0.1:{port}") as client:
            job = await client.hash.compute(UploadStream(pieces, "a.bin"), wait=True, timeout=SECONDS)
            assert job.status == "completed"
            job = await client.hash.compute(source)
            seen: list[tuple[int, int | None]] = []

            def note(done: int, total: int | None) -> None:
                seen.append((done, total))

            def cancel(done: int, total: int | None) -> None:
                note(done, total)
                download.cancel()

            target = tmp_path / "target.bin"
            arguments = (job.job_id, "input/source.bin", target)
            download = asyncio.ensure_future(
                client.download_job_file(*arguments, resume=True, on_progress=cancel)
            )
            with pytest.raises(asyncio.CancelledError):
                await download
            first = seen[0][0]
            await client.download_job_file(*arguments, resume=True, on_progress=note)
    assert target.read_bytes() == source.read_bytes()
    assert first < seen[-2][0] < seen[-1][0] == seen[-1][1] == LARGE


async def test_a_server_that_is_gone_behind_its_proxy(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with (
            nginx(tmp_path, f"; location / {{ proxy_pass {upstream}; }}") as port,
            client_at(f"http://127.0.0.1:{port}", max_retries=1) as client,
        ):
            for call in (client.hash.compute(b"some"), client.get_job("j")):
                with pytest.raises(ServerError, match="502 Bad Gateway"):
                    await call


async def test_connections_that_a_proxy_keeps_for_a_moment_only(tmp_path: Path) -> None:
    with LocalServer(workers=1, tasks=["hash"]) as server:
        rules = f"; keepalive_timeout 40ms; location / {{ proxy_pass {server.base_url}; }}"
        async with nginx(tmp_path, rules) as port, client_at(f"http://127.0.0.1:{port}") as client:
            for pause in range(30, 50):
                assert (await client.health()).status == "healthy"
                await asyncio.sleep(pause / 1000)


async def test_push_through_a_web_socket_behind_the_proxy(
    tmp_path: Path, tls_files: TLSFiles, make_mosquitto: Callable[[str], Mosquitto]
) -> None:
    inner = free_port()
    broker = make_mosquitto(
        f"allow_anonymous true\nlistener {inner} 127.0.0.1\nprotocol websockets\nallow_anonymous true"
    )
    with LocalServer(workers=1, tasks=["hash"], mqtt_url=broker.url) as server:
        rules = (
            f" ssl; ssl_certificate {tls_files.server_cert}; ssl_certificate_key {tls_files.server_key};"
            f"location /mqtt {{ proxy_pass http://127.0.0.1:{inner}; proxy_set_header Upgrade $http_upgrade;"
            f'proxy_set_header Connection "upgrade"; }} location / {{ proxy_pass {server.base_url}; }}'
        )
        async with nginx(tmp_path, rules) as port:
            push = {"mqtt_broker": f"wss://127.0.0.1:{port}/mqtt", "ca_file": tls_files.ca}
            async with client_at(f"https://127.0.0.1:{port}", **push, poll_interval_push=600) as client:
                assert await client.mqtt_monitor.wait_connected(SECONDS)
                job = await client.hash.compute(b"some", wait=True, timeout=SECONDS)
                assert job.status == "completed"
                assert client.mqtt_monitor.workers()
