"""Downloads a model: complete and with the expected SHA-256, or not at all."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

import httpx

from cl_client._transfers.download import save_response
from cl_client.exceptions import ComputeClientError, InvalidResponseError
from cl_client.local.models.digest import digest_of
from cl_client.local.models.settings import model_settings

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.models.catalog import ModelFile
    from cl_client.options import ByteProgress

_TIMEOUT_SECONDS: Final = 30.0
"""For connecting and for each read, not for the whole download: a model has hundreds of megabytes."""


class ModelDownloadError(ComputeClientError):
    """A model cannot be downloaded, or the downloaded file is not the expected one."""


async def download(model: ModelFile, folder: Path, on_progress: ByteProgress | None = None) -> Path:
    """Download a model into a folder, replacing an existing file.

    Args:
        model: The model.
        folder: A folder of models; must exist.
        on_progress: Called with the bytes so far and the total, or None if the server does not send it.

    Returns:
        The path of the downloaded file.

    Raises:
        ModelDownloadError: The download failed, or the file is not the expected one; nothing is left behind.
        OSError: The file cannot be written.
    """
    target = model.path_in(folder)
    unverified = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unverified")
    url = address_of(model)
    try:
        await _fetch(url, unverified, model, on_progress)
        await asyncio.to_thread(_admit, unverified, model, folder, url)
    finally:
        unverified.unlink(missing_ok=True)
    return target


def address_of(model: ModelFile) -> str:
    """Return the download URL: the public one, or that of the mirror in the environment.

    Args:
        model: The model.

    Returns:
        The URL.

    Raises:
        ConfigurationError: The mirror is not a valid URL.
    """
    mirror = model_settings().models_mirror
    return model.url if mirror is None else f"{str(mirror).rstrip('/')}/{model.file_name}"


async def _fetch(url: str, target: Path, model: ModelFile, on_progress: ByteProgress | None) -> None:
    try:
        async with (
            httpx.AsyncClient(follow_redirects=True, timeout=_TIMEOUT_SECONDS) as client,
            client.stream("GET", url) as response,
        ):
            if not response.is_success:
                status = f"{response.status_code} {response.reason_phrase}".strip()
                raise ModelDownloadError(f"{model.file_name}: {url} answers {status}")
            await save_response(response, target, on_progress)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        reason = str(exc) or type(exc).__name__
        raise ModelDownloadError(f"{model.file_name} cannot be downloaded from {url}: {reason}") from exc
    except InvalidResponseError as exc:
        raise ModelDownloadError(f"{model.file_name}: the download from {url} is incomplete") from exc


def _admit(file: Path, model: ModelFile, folder: Path, url: str) -> None:
    """Move a downloaded file into place if its size and SHA-256 are the expected ones."""
    digest, size = digest_of(file), file.stat().st_size
    expected = model.expected_digest_in(folder)
    if model.size not in {None, size} or expected not in {None, digest}:
        wanted = f"SHA-256 {expected}" if model.size is None else f"{model.size:,} bytes, SHA-256 {expected}"
        record = model.record_in(folder)
        hint = f"; to accept a new version of the model, remove {record}" if model.sha256 is None else ""
        raise ModelDownloadError(
            f"{model.file_name}: the file from {url} is not the expected model: "
            f"{size:,} bytes, SHA-256 {digest}; expected: {wanted}{hint}"
        )
    if expected is None:
        model.record_in(folder).write_text(f"{digest}  {model.file_name}\n", "utf-8")
    file.replace(model.path_in(folder))
