"""Jobs by reference: what a server shares, and submits that name a file on its disk."""

from __future__ import annotations

import asyncio
import re
import time
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Final

import httpx
from pydantic import BaseModel, ConfigDict

from cl_client._config.loopback import is_loopback
from cl_client._core.log import get_logger
from cl_client._core.threads import in_thread_unless_cancelled
from cl_client._errors import InvalidResponseError, ServerPathRefusedError
from cl_client._http.errors import says_missing
from cl_client._http_errors import HTTPError, ServerUnavailableError
from cl_client._transfers.multipart import MultipartForm
from cl_client._transfers.references import (
    MODIFIED_FIELD,
    OUTPUT_PATH_FIELD,
    PATH_FIELD,
    PROOF_HEADER,
    SHARES_PATH,
    SIZE_FIELD,
    proof_of,
)
from cl_client._transfers.share_key import ShareKeyError, read_share_key
from cl_client.options import ServerPath, server_form

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path, PurePath

    from pydantic import SecretStr

    from cl_client._http.document import Document
    from cl_client._http.service import HTTPService
    from cl_client.config import ComputeClientConfig
    from cl_client.options import ByteProgress

logger = get_logger("cl_client.jobs")

DEFAULT_MAX_AGE: Final = 60.0

_NOT_SHARING: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_WRITES_ELSEWHERE: Final = frozenset({"hls_streaming"})
"""Without a folder for the output, CL Servers write to one that all jobs share and that is not served."""

_ABOUT_THE_PATH: Final = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.CONFLICT}
_INVALID: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_WANTS_A_FILE: Final = re.compile(rf"(^|; )file: |{PATH_FIELD}")
_NOT_ALLOWED: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class _Announcement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    folders: tuple[str, ...] = ()
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """What a server shares.

    Attributes:
        folders: The folders, in the form of the server's system.
        key: The share key, if the server requires it and it can be read.
        problem: Why the shares cannot be used; None if they can.
        refusal: The server's error, if it does not show its shares to this user.
    """

    folders: tuple[PurePath, ...] = ()
    key: SecretStr | None = None
    problem: str | None = None
    refusal: HTTPError | None = None

    @property
    def usable(self) -> tuple[PurePath, ...]:
        """The folders from which this client can submit files."""
        return self.folders if self.problem is None else ()


class References:
    """Submits files that are on the server's disk.

    Args:
        http: Sends requests to the server.
        config: The settings of the client.
    """

    def __init__(self, http: HTTPService, config: ComputeClientConfig) -> None:
        self._http = http
        self._config = config
        self._known: tuple[float, Shares] | None = None
        self._asking = asyncio.Lock()

    def with_http(self, http: HTTPService, config: ComputeClientConfig) -> References:
        """Make a sibling for calls with other settings, which knows what this one knows.

        Args:
            http: Sends requests with the other settings.
            config: The other settings.

        Returns:
            The sibling.
        """
        sibling = copy(self)
        sibling._http, sibling._config = http, config  # noqa: SLF001 - of the same class
        return sibling

    async def shares(self, *, max_age: float = DEFAULT_MAX_AGE) -> Shares:
        """Read what the server shares.

        Args:
            max_age: Maximum age of a cached answer in seconds; 0 for a new request.

        Returns:
            The shares; a server that announces none has none.
        """
        async with self._asking:  # one request for many concurrent submits
            now = time.monotonic()
            if self._known is not None and now - self._known[0] < max_age:
                return self._known[1]
            found = await self._ask()
            # A login may change a refusal at any time.
            self._known = None if found.refusal is not None else (now, found)
            return found

    async def _ask(self) -> Shares:
        try:
            announced = await self._http.get(SHARES_PATH, _Announcement)
        except HTTPError as exc:
            if exc.status_code in _NOT_SHARING:
                return Shares()
            if exc.status_code in _NOT_ALLOWED:
                return Shares(refusal=exc)
            raise
        except InvalidResponseError as exc:  # a proxy answers unknown paths with a page
            logger.debug("the server announces no shared folders: %s", exc)
            return Shares()
        return await in_thread_unless_cancelled(self._shares_of, announced)

    def _shares_of(self, announced: _Announcement) -> Shares:
        folders = tuple(server_form(folder) for folder in announced.folders)
        if announced.key_file is None:
            return Shares(folders)
        if not is_loopback(httpx.URL(self._config.base_url).host):
            return Shares(folders, problem="its share key is for programs on its own machine")
        try:
            return Shares(folders, read_share_key(announced.key_file))
        except ShareKeyError as exc:
            return Shares(folders, problem=str(exc))

    async def form(
        self,
        task_type: str,
        source: ServerPath,
        fields: Mapping[str, str],
        on_upload: ByteProgress | None = None,
    ) -> MultipartForm:
        """Make the body of a submit.

        Args:
            task_type: The task of the job.
            source: The file.
            fields: The other form fields.
            on_upload: Called with 0 and 0 when the body is sent.

        Returns:
            The body, with the headers of the request.

        Raises:
            ServerPathRefusedError: The server's shares cannot be used from here.
            HTTPError: The server does not show its shares to this user.
            ServerUnavailableError: The server is unreachable; it has no job.
        """
        try:
            shares = await self.shares()
        except ServerUnavailableError as exc:
            exc.may_have_been_accepted = False
            raise
        if shares.refusal is not None:
            raise shares.refusal
        if shares.problem is not None:
            raise self._refused(task_type, source, shares.problem)
        if not shares.folders and task_type in _WRITES_ELSEWHERE and OUTPUT_PATH_FIELD not in fields:
            raise self._refused(
                task_type, source, "it would write its output where the next job replaces it; give output_dir"
            )
        form = {**fields, PATH_FIELD: source.path}
        if shares.folders:  # CL Servers know the path only
            if source.size is not None:
                form[SIZE_FIELD] = str(source.size)
            if source.modified is not None:
                form[MODIFIED_FIELD] = str(source.modified)
        key = shares.key
        headers = {} if key is None else {PROOF_HEADER: proof_of(key, task_type, source.path)}
        return MultipartForm(form, headers, on_upload)

    async def submit(
        self, task_type: str, source: ServerPath, fields: Mapping[str, str], body: MultipartForm
    ) -> Document:
        """Send a job.

        Args:
            task_type: The task of the job.
            source: The file.
            fields: The other form fields.
            body: The body that `form` made of these.

        Returns:
            The response.

        Raises:
            ServerPathRefusedError: The server does not take the path, or not this one.
        """
        try:
            return await self._sent(task_type, source, body)
        except ServerPathRefusedError as exc:
            if exc.status_code != HTTPStatus.FORBIDDEN:
                raise
        # The server was restarted, and has a new key.
        self._known = None
        renewed = await self.form(task_type, source, fields, body.on_upload)
        return await self._sent(task_type, source, renewed)

    async def _sent(self, task_type: str, source: ServerPath, body: MultipartForm) -> Document:
        path = self._config.get_plugin_endpoint(task_type)
        try:
            return await self._http.submit(path, body, body.headers)
        except HTTPError as exc:
            if not _is_about_the_path(exc, proven=PROOF_HEADER in body.headers):
                raise
            reason = f"{exc.detail} (HTTP {exc.status_code})"
            raise self._refused(task_type, source, reason, exc.status_code) from exc
        except ServerUnavailableError as exc:
            exc.may_have_been_accepted &= body.whole
            raise

    def _refused(
        self, task_type: str, source: ServerPath, reason: str, status: int | None = None
    ) -> ServerPathRefusedError:
        server = self._config.base_url
        return ServerPathRefusedError(task_type, server, source.path, reason, status_code=status)


def _is_about_the_path(exc: HTTPError, *, proven: bool) -> bool:
    """Check whether a job was refused because of its path; an upload would have another answer."""
    status = exc.status_code
    if status in _INVALID:
        return _WANTS_A_FILE.search(exc.detail) is not None
    if status == HTTPStatus.FORBIDDEN:
        return proven
    return status in _ABOUT_THE_PATH or (status == HTTPStatus.NOT_FOUND and says_missing(exc.response))


def server_path_below(folders: tuple[PurePath, ...], local: Path) -> ServerPath | None:
    """Find the path of a local file below one of the folders that a server shares. Blocks.

    Args:
        folders: The folders.
        local: The file.

    Returns:
        The path, as it was given or with its links resolved; None if neither is below a folder,
        or the file is empty.
    """
    try:
        # The name as it was given comes first: the name of a job's result may be made of it.
        for path in (local.absolute(), local.resolve(strict=True)):
            if ".." not in path.parts and any(_is_below(path, folder) for folder in folders):
                found = ServerPath.of(path)
                return found if found.size else None  # an upload says in words that it is empty
    except (OSError, RuntimeError, ValueError):  # InvalidParameterError is a ValueError
        return None
    return None


def _is_below(path: Path, folder: PurePath) -> bool:
    same_system = isinstance(path, PureWindowsPath) == isinstance(folder, PureWindowsPath)
    return same_system and path.is_relative_to(folder)
