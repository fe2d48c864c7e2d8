"""Storage, cleanup and guest mode, on every generation and with every kind of token."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    AuthenticationError,
    ComputeClient,
    InvalidParameterError,
    InvalidRequestError,
    JobNotFoundError,
    JWTAuthProvider,
    PermissionDeniedError,
    ServerError,
)
from cl_client.local import LocalServer
from support import port_of

if TYPE_CHECKING:
    from cl_client.local.generations import Generation


async def test_storage_and_cleanup() -> None:
    async with LocalServer(workers=1, tasks=["hash"]) as server, server.client() as client:
        assert (await client.admin.storage()).job_count == 0
        job = await client.hash.compute(b"x" * 1000, wait=True)
        usage = await client.admin.storage()
        assert (usage.job_count, usage.total_size > 1000) == (1, True)
        assert (await client.admin.cleanup()).deleted_count == 0
        removed = await client.admin.cleanup(days=0)
        assert (removed.deleted_count, removed.freed_space) == (1, usage.total_size)
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id)
        with pytest.raises(InvalidParameterError, match="days=-1"):
            await client.admin.cleanup(-1)


@pytest.mark.parametrize("generation", ["B", "C"])
async def test_guest_mode_on_both_addresses(generation: Generation) -> None:
    async with (
        LocalServer(generation=generation, workers=1, tasks=["hash"], auth=True) as server,
        server.client(auth_provider=JWTAuthProvider(server.issue_token())) as admin,
        server.client() as guest,
    ):
        assert not (await admin.admin.guest_mode()).enabled
        with pytest.raises(AuthenticationError, match="Authentication required"):
            await guest.get_job("j")
        opened = await admin.admin.set_guest_mode(True)
        assert (opened.enabled, opened.updated_at is not None) == (True, True)
        with pytest.raises(JobNotFoundError):
            await guest.get_job("j")
        assert (await guest.health()).guest_mode is True
        assert not (await admin.admin.set_guest_mode(False)).enabled
        with pytest.raises(AuthenticationError):
            await guest.get_job("j")


async def test_a_server_without_guest_mode() -> None:
    async with LocalServer(generation="A", workers=1, tasks=["hash"]) as server, server.client() as client:
        for call in (client.admin.guest_mode(), client.admin.set_guest_mode(True)):
            with pytest.raises(InvalidRequestError, match="This server does not support guest mode"):
                await call


async def test_who_is_no_admin() -> None:
    async with LocalServer(workers=1, tasks=["hash"], auth=True) as server, server.client() as nobody:
        for call in (nobody.admin.storage(), nobody.admin.cleanup(), nobody.admin.set_guest_mode(True)):
            with pytest.raises(AuthenticationError):
                await call
        from cl_client._auth.client import AuthClient

        async with AuthClient(server.auth_url) as auth:
            await auth.login("admin", "admin")
            await auth.create_user("worker", "pw", permissions=["ai_inference_support"])
        provider = JWTAuthProvider(server.issue_token("worker"))
        async with server.client(auth_provider=provider) as worker:
            assert (await worker.hash.compute(b"x", wait=True)).status == "completed"
            for call in (worker.admin.storage(), worker.admin.guest_mode()):
                with pytest.raises(PermissionDeniedError, match="admin"):
                    await call


async def test_a_fault_is_not_taken_for_another_generation() -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1])
            writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, ComputeClient(address, mqtt_broker="off") as client:
        with pytest.raises(ServerError):
            await client.admin.guest_mode()
    assert asked == ["/admin/pref"]
