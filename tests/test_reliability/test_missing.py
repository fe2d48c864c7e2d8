"""A 404: what it means follows from what was asked for, and from who answered, not from sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client import HTTPError, InvalidRequestError, JobFileNotFoundError, JobNotFoundError
from cl_client.testing import StubServer, http_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client import ComputeClient

    Call = Callable[[ComputeClient], Awaitable[object]]

CALLS: dict[str, Call] = {
    "read": lambda client: client.get_job("j"),
    "delete": lambda client: client.delete_job("j"),
    "wait": lambda client: client.wait_for_job("j"),
    "file": lambda client: client.read_job_file("j", "output/a"),
    "submit": lambda client: client.hash.compute(b"x"),
    "storage": lambda client: client.admin.storage(),
}

OWN_WORDS = ["Job j not found", "Job directory not found for job j", "File not found: output/a", "gone"]

MEANINGS: list[tuple[str, str, type[HTTPError]]] = [
    *[(call, words, JobNotFoundError) for call in ("read", "delete", "wait") for words in OWN_WORDS],
    ("file", "Job j not found", JobNotFoundError),
    *[("file", words, JobFileNotFoundError) for words in OWN_WORDS[1:]],
    *[(call, words, InvalidRequestError) for call in ("submit", "storage") for words in OWN_WORDS],
]


@pytest.mark.parametrize("jobs_endpoint", ["/jobs", "/v2/work"])
@pytest.mark.parametrize(("call", "words", "error"), MEANINGS)
async def test_what_the_service_does_not_have(
    call: str, words: str, error: type[HTTPError], jobs_endpoint: str
) -> None:
    server = StubServer(http_response("404 Not Found", f'{{"detail": "{words}"}}'))
    async with server.running(jobs_endpoint=jobs_endpoint) as client:
        with pytest.raises(HTTPError, match=words) as caught:
            await CALLS[call](client)
    assert type(caught.value) is error
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", ['{"detail": "Not Found"}', "<html>Job j not found</html>", "", '{"a": 1}'])
@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"wait"}))
async def test_an_address_that_leads_elsewhere(call: str, body: str) -> None:
    async with StubServer(http_response("404 Not Found", body)).running() as client:
        with pytest.raises(InvalidRequestError) as caught:
            await CALLS[call](client)
    assert type(caught.value) is InvalidRequestError
