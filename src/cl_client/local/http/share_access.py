"""Who may submit files by reference: users who log in or, without logins, programs of the server's user."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, SecretStr
from starlette.exceptions import HTTPException

from cl_client._config.loopback import is_loopback
from cl_client._transfers.references import KEY_BYTES, KEY_FILE_NAME, PROOF_HEADER, proof_of
from cl_client.local.jobs.shared_folders import JobSource, NotSharedError, SharedFolders

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.requests import Request

    from cl_client.local.auth.guard import Guard


class ReferenceFields(BaseModel):
    """The form fields of a job by reference. Without a path, the form has to have a file."""

    input_absolute_path: Annotated[
        str | None, Field(description="A file below a shared folder, to be read in place of an upload")
    ] = None
    input_size: Annotated[int | None, Field(ge=0, description="Its size in bytes; 409 if it differs")] = None
    input_modified: Annotated[
        int | None,
        Field(description="Its time of change, in seconds since the Unix epoch; 409 if it differs"),
    ] = None


class SharedFolderList(BaseModel):
    """What is shared, as on the wire.

    Attributes:
        folders: Absolute paths of folders on the server's disk.
        key_file: The file with the share key; None if a token is needed instead.
    """

    folders: list[str]
    key_file: str | None


@dataclass(frozen=True, slots=True)
class ShareKey:
    """The key of one run of a server, and the file in which only the server's user can read it."""

    key: SecretStr
    file: Path


@contextmanager
def share_key() -> Generator[ShareKey]:
    """Make a share key. Blocks.

    Yields:
        The key; its file is removed at the end.
    """
    # Not in the data folder: on Windows, only this folder is private for certain.
    folder = Path(tempfile.mkdtemp(prefix="cl-local-share-"))
    try:
        made = ShareKey(SecretStr(secrets.token_hex(KEY_BYTES)), folder / KEY_FILE_NAME)
        descriptor = os.open(made.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(made.key.get_secret_value())
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class ShareAccess:
    """The shares of a server, and who may use them.

    Args:
        shared: The folders.
        guard: Checks the tokens.
        key: Has to be known by clients; None if they need a token instead.
    """

    def __init__(self, shared: SharedFolders, guard: Guard, key: ShareKey | None) -> None:
        self._shared = shared
        self._guard = guard
        self._key = key

    async def user(self, request: Request) -> None:
        """Allow a request that asks for the shares.

        Args:
            request: The request.

        Raises:
            HTTPException: The request has no valid token of a job user or, without an auth service, calls the
                server by another name than those of the loopback addresses.
        """
        if self._key is None:
            _ = await self._guard.named_job_user(request)
        # A web page may reach this server by a name of its own (DNS rebinding).
        elif not is_loopback(request.url.hostname or ""):
            raise HTTPException(HTTPStatus.NOT_FOUND)

    def announcement(self) -> SharedFolderList:
        """Tell what is shared.

        Returns:
            The folders, and where the key is.
        """
        key_file = None if self._key is None else str(self._key.file)
        return SharedFolderList(folders=[str(folder) for folder in self._shared.folders], key_file=key_file)

    async def source(self, request: Request, task_type: str, fields: ReferenceFields) -> JobSource:
        """Find the file that a request names.

        Args:
            request: The request.
            task_type: The task of the job.
            fields: Its fields, with a path.

        Returns:
            The file.

        Raises:
            HTTPException: 401 or 403 if the request may not use the shares, 404 if there is no such file,
                409 if it is a different one.
        """
        path = fields.input_absolute_path or ""
        await self.user(request)
        if self._key is not None:
            proof = proof_of(self._key.key, task_type, path)
            # As bytes: texts are compared only if they are ASCII.
            if not hmac.compare_digest(proof.encode(), request.headers.get(PROOF_HEADER, "").encode()):
                raise HTTPException(
                    HTTPStatus.FORBIDDEN, f"{PROOF_HEADER} is missing or was made with another share key"
                )
        try:
            _, state = await asyncio.to_thread(self._shared.find, path)
        except NotSharedError as exc:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(exc)) from None
        expected = (fields.input_size, fields.input_modified)
        found = (state.size, state.modified_ns // 1_000_000_000)
        if any(wanted not in {None, there} for wanted, there in zip(expected, found, strict=True)):
            raise HTTPException(HTTPStatus.CONFLICT, f"The server has a different file at {path}")
        return JobSource(path=path, state=state)
