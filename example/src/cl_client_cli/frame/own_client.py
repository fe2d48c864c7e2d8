"""The client of a local server in this process: it reads the files of jobs on the disk, without HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from cl_client import ComputeClient
from cl_client_cli.frame.whole_files import written_durably

if TYPE_CHECKING:
    from typing import BinaryIO

    from cl_client.local import LocalServer
    from cl_client.options import ByteProgress

_MOST_BYTES: Final = 64 * 1024 * 1024
"""The same default as in `ComputeClient`."""


class OwnClient(ComputeClient):
    """A client of a local server in this process.

    The results of photos are small, and requests for them cost more than reading them. What the server does
    not have, and what a caller wants to follow or continue, is requested as from any server.

    Attributes:
        server: The server.

    Args:
        server: The server; it is running.
    """

    def __init__(self, server: LocalServer) -> None:
        super().__init__(server.base_url, mqtt_broker=server.mqtt_url)
        self.server = server

    @override
    async def download_job_file(
        self,
        job_id: str,
        file_path: str,
        dest: Path | str,
        *,
        on_progress: ByteProgress | None = None,
        overwrite: bool = True,
        resume: bool = False,
        timeout: float | None = None,
    ) -> Path:
        if overwrite and not resume and on_progress is None and timeout is None:
            copied = await asyncio.to_thread(self._copied, job_id, file_path, dest)
            if copied is not None:
                return copied
        return await super().download_job_file(
            job_id,
            file_path,
            dest,
            on_progress=on_progress,
            overwrite=overwrite,
            resume=resume,
            timeout=timeout,
        )

    @override
    async def read_job_file(
        self,
        job_id: str,
        file_path: str,
        *,
        max_bytes: int = _MOST_BYTES,
        timeout: float | None = None,
    ) -> bytes:
        if timeout is None:
            content = await asyncio.to_thread(self._content, job_id, file_path, max_bytes)
            if content is not None:
                return content
        return await super().read_job_file(job_id, file_path, max_bytes=max_bytes, timeout=timeout)

    def _content(self, job_id: str, file_path: str, max_bytes: int) -> bytes | None:
        """Read a file of a job; None if the server does not have it, or it is too large."""
        source = self._opened(job_id, file_path)
        if source is None:
            return None
        with source:
            content = source.read(max_bytes + 1)
        return content if len(content) <= max_bytes else None

    def _copied(self, job_id: str, file_path: str, dest: Path | str) -> Path | None:
        """Copy a file of a job; None if the server does not have it, or the destination is a folder."""
        target = Path(dest)
        source = self._opened(job_id, file_path)
        if source is None:
            return None
        with source:
            if str(dest).endswith(("/", os.sep)) or os.path.isdir(target):  # noqa: PTH112 - False for a name too long
                return None
            with written_durably(target) as file:
                shutil.copyfileobj(source, file)
        return target

    def _opened(self, job_id: str, file_path: str) -> BinaryIO | None:
        try:
            return self.server.job_file(job_id, file_path).open("rb")
        except OSError:
            return None
