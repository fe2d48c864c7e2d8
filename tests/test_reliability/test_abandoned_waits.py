"""Waits that end before their job does: nothing they leave behind is lost without a word."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from typing_extensions import override

from cl_client import ComputeClient
from cl_client.auth import NoAuthProvider
from cl_client.testing import StubServer, http_response
from followers import Log

RUNNING = http_response("200 OK", '{"job_id": "j", "task_type": "hash", "status": "processing"}')


class Vault(NoAuthProvider):
    """A provider of an application, with a fault of its own once it is sealed."""

    fault: BaseException | None = None

    @override
    def get_headers(self) -> dict[str, str]:
        if self.fault is not None:
            raise self.fault
        return {}


@pytest.mark.parametrize("fault", [LookupError("the vault is sealed"), asyncio.CancelledError("from within")])
async def test_what_an_auth_provider_raises_at_the_deletion_is_said(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    vault, server = Vault(), StubServer(RUNNING)
    async with (
        server.running() as guest,
        ComputeClient(config=guest.config, auth_provider=vault) as client,
    ):
        waiting = asyncio.ensure_future(client.wait_for_job("j", delete_on_cancel=True))
        await server.received(1)
        vault.fault = fault
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        vault.fault = None
    del waiting
    gc.collect()  # when asyncio would complain of what nobody has looked at
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == f"job j was abandoned, but could not be deleted: {fault!r}"


async def test_a_job_whose_wait_is_cancelled_right_before_closing_is_deleted() -> None:
    server, log = StubServer(RUNNING), Log()
    async with server.running() as client:
        waiting = asyncio.ensure_future(client.wait_for_job("j", delete_on_cancel=True))
        client.subscribe_job_updates("j", log.progress)
        await log.was_told("processing")
        await asyncio.sleep(0)  # nothing is under way any more
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [request.partition(b" ")[0] for request in server.requests] == [b"GET", b"DELETE"]
