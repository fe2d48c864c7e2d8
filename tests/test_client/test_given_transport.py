"""What an application sees of its calls where it gives a transport, or runs them without asyncio."""

from __future__ import annotations

import httpx
import pytest

from cl_client import AuthClient, ComputeClient, ComputeClientConfig, ComputeClientError

JOB = {"job_id": "j", "task_type": "hash", "status": "queued"}


@pytest.mark.parametrize("given", ["transport", "http_client"])
async def test_a_mock_transport_sees_the_whole_upload(given: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            return httpx.Response(429, headers={"Retry-After": "0"})
        return httpx.Response(200, json=JOB)

    config = ComputeClientConfig.create(mqtt_broker="off")
    mock = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=mock) as http_client:
        client = (
            ComputeClient(config=config, transport=mock)
            if given == "transport"
            else ComputeClient(config=config, http_client=http_client)
        )
        async with client:
            assert (await client.hash.compute(b"the picture")).job_id == "j"
    assert [request.content.count(b"the picture") for request in seen] == [1, 1]
    for request in seen:
        assert int(request.headers["Content-Length"]) == len(request.content)
        assert "Transfer-Encoding" not in request.headers


async def test_a_mock_transport_gives_files() -> None:
    mock = httpx.MockTransport(lambda _: httpx.Response(200, content=b"a file"))
    config = ComputeClientConfig.create(mqtt_broker="off")
    async with ComputeClient(config=config, transport=mock) as client:
        assert await client.read_job_file("j", "a") == b"a file"


def test_what_runs_without_asyncio_is_told_so() -> None:
    client = ComputeClient("http://127.0.0.1:1", mqtt_broker="off")
    for call in (client.health(), client.get_job("j"), client.__aenter__(), client.admin.storage()):
        with pytest.raises(ComputeClientError, match="asyncio"):
            call.send(None)
        call.close()
    entering = AuthClient("http://127.0.0.1:1").__aenter__()
    with pytest.raises(ComputeClientError, match="asyncio"):
        entering.send(None)
    entering.close()
