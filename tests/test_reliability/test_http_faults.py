"""A server that misbehaves on purpose: each fault gives its documented error, and nothing is left behind."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from typing_extensions import override

from cl_client import (
    AuthenticationError,
    AuthProvider,
    ComputeClient,
    ComputeClientError,
    ConfigurationError,
    HTTPError,
    InvalidRequestError,
    InvalidResponseError,
    JobNotFoundError,
    JWTAuthProvider,
    PermissionDeniedError,
    RequestTimeoutError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)
from cl_client.testing import StubServer, http_response

if TYPE_CHECKING:
    from pathlib import Path


JOB = json.dumps({"job_id": "j", "task_type": "hash", "status": "queued"})


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (
            http_response("401 Unauthorized", '{"detail": "JWT token has expired"}'),
            AuthenticationError,
            "expired",
        ),
        (
            http_response("403 Forbidden", '{"detail": "Insufficient permissions"}'),
            PermissionDeniedError,
            "Insufficient",
        ),
        (
            http_response("404 Not Found", '{"detail": "Job j not found"}'),
            JobNotFoundError,
            "Job j not found",
        ),
        (http_response("405 Method Not Allowed"), InvalidRequestError, "405"),
        (http_response("413 Too Large", '{"detail": "at most 5 bytes"}'), InvalidRequestError, "at most 5"),
        (
            http_response(
                "422 Bad", '{"detail": [{"loc": ["body", "priority"], "msg": "too large", "type": "x"}]}'
            ),
            InvalidRequestError,
            "priority: too large",
        ),
        (http_response("500 Oops", "Internal Server Error"), ServerError, "500 Oops"),
    ],
)
async def test_error_answers(reply: bytes, error: type[HTTPError], words: str) -> None:
    server = StubServer(reply)
    async with server.running() as client:
        with pytest.raises(error, match=words) as caught:
            await client.get_job("j")
    assert isinstance(caught.value, httpx.HTTPStatusError)
    assert len(server.requests) == 1


async def test_reads_are_repeated_until_the_server_is_back() -> None:
    busy = http_response("503 Busy", headers="Retry-After: 0\r\n")
    server = StubServer(busy, b"", http_response("502 Bad Gateway"), http_response("200 OK", JOB))
    async with server.running() as client:
        assert (await client.get_job("j")).status == "queued"
    assert len(server.requests) == 4


async def test_a_server_that_stays_busy() -> None:
    async with StubServer(http_response("429 Slow down", headers="Retry-After: 0\r\n")).running(
        max_retries=1
    ) as client:
        with pytest.raises(ServerBusyError) as caught:
            await client.get_job("j")
        assert caught.value.retry_after == 0
        with pytest.raises(ServerBusyError):
            await client.hash.compute(b"x")


async def test_a_submit_is_repeated_only_when_it_was_not_taken() -> None:
    refused = StubServer(
        http_response("429 Busy", headers="Retry-After: 0\r\n"), http_response("200 OK", JOB)
    )
    async with refused.running() as client:
        # Not hexadecimal: a multipart boundary is, and could hold it by chance.
        assert (await client.hash.compute(b"the picture")).job_id == "j"
    assert [request.count(b"the picture") for request in refused.requests] == [1, 1]
    for reply in (b"", http_response("503 Busy"), http_response("502 Bad Gateway")):
        unsure = StubServer(reply)
        async with unsure.running() as client:
            with pytest.raises((ServerUnavailableError, HTTPError)):
                await client.hash.compute(b"abc")
        assert len(unsure.requests) == 1


@pytest.mark.parametrize("body", ["<html>a proxy's page</html>", "[]", '{"status": "queued"}'])
async def test_answers_that_are_no_job(body: str) -> None:
    async with StubServer(http_response("200 OK", body)).running() as client:
        with pytest.raises(InvalidResponseError, match="not a valid JobResponse"):
            await client.get_job("j")


@pytest.mark.parametrize("charset", ["base64", "idna", "punycode", "undefined", "nonsense"])
async def test_an_answer_whose_charset_is_none_for_text(charset: str) -> None:
    page = http_response(
        "200 OK", b"\xff\xfea page", headers=f"Content-Type: text/html; charset={charset}\r\n"
    )
    async with StubServer(page).running() as client:
        with pytest.raises(InvalidResponseError, match=r"not a valid JobResponse: .*a page"):
            await client.get_job("j")


async def test_a_header_that_is_not_ascii() -> None:
    via = "Via: 1.1 münchen\r\n"
    gone = http_response("404 Not Found", '{"detail": "Job j not found"}', via)
    server = StubServer(*[http_response("200 OK", JOB, via)] * 2, gone)
    async with server.running() as client:
        assert (await client.hash.compute(b"x")).job_id == "j"
        assert (await client.get_job("j")).job_id == "j"
        with pytest.raises(JobNotFoundError) as caught:
            await client.get_job("j")
    again = cast("JobNotFoundError", pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own
    assert again.response.headers["Via"] == caught.value.response.headers["Via"] == "1.1 münchen"


async def test_a_server_that_never_answers() -> None:
    async with StubServer(None).running(timeout=0.2, max_retries=0) as client:
        with pytest.raises(RequestTimeoutError, match=r"Waiting for an answer .* timed out"):
            await client.get_job("j")


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_a_cut_download_leaves_the_old_file(tmp_path: Path, reply: bytes) -> None:
    target = tmp_path / "thumbnail.jpg"
    target.write_bytes(b"the old one")
    async with StubServer(reply).running(max_retries=0) as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.download_job_file("j", "output/thumbnail.jpg", target)
    assert target.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [target]


class Renewing(AuthProvider):
    """A provider whose first token is too old."""

    def __init__(self) -> None:
        self.token = "old"
        self.refreshed = 0

    @override
    def get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @override
    async def refresh_token(self) -> None:
        self.refreshed += 1
        self.token = "new"


async def test_a_401_refreshes_and_replays_the_upload() -> None:
    server = StubServer(http_response("401 Unauthorized"), http_response("200 OK", JOB))
    provider = Renewing()
    async with (
        server.running() as plain,
        ComputeClient(auth_provider=provider, config=plain.config) as client,
    ):
        assert (await client.hash.compute(b"the body")).job_id == "j"
    assert provider.refreshed == 1
    assert [b"Bearer old" in request for request in server.requests] == [True, False]
    assert all(b"the body" in request for request in server.requests)


async def test_a_fixed_token_is_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    server = StubServer(http_response("401 Unauthorized"))
    provider = JWTAuthProvider("top.secret.token")
    async with (
        server.running() as plain,
        ComputeClient(auth_provider=provider, config=plain.config) as client,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await client.get_job("j")
    assert b"Bearer top.secret.token" in server.requests[0]
    assert "secret" not in f"{provider!r} {caught.value!r} {caught.value} {caplog.text}"


@pytest.mark.parametrize("token", ["Bearer secret", "secret ", "sec\0ret", "\ufeffsecret", "s\u00e9cret", ""])
def test_a_token_that_cannot_be_sent_is_refused_at_once(token: str) -> None:
    with pytest.raises(ConfigurationError, match="white space") as caught:
        JWTAuthProvider(token)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("value", ["secret ", "sec\nret", "s\u00e9cret"])
async def test_headers_that_cannot_be_sent_are_not_shown(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = StubServer(http_response("200 OK", JOB))
    provider = Renewing()
    provider.token = value
    async with (
        server.running() as plain,
        ComputeClient(auth_provider=provider, config=plain.config) as client,
    ):
        with pytest.raises(ConfigurationError, match="'Authorization' has a line break") as caught:
            await client.get_job("j")
    assert server.requests == []
    assert "cret" not in f"{''.join(traceback.format_exception(caught.value))} {caplog.text}"


async def test_what_a_given_client_cannot_send_is_neither_shown_nor_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = StubServer(http_response("200 OK", JOB))
    async with (
        server.running() as plain,
        httpx.AsyncClient(headers={"X-Key": "secret "}) as given,
        ComputeClient(http_client=given, config=plain.config) as client,
    ):
        with pytest.raises(ComputeClientError, match="is invalid HTTP") as caught:
            await client.get_job("j")
    assert server.requests == []
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert caplog.records == []
