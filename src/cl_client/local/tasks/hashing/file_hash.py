"""The hash of a file: of what it shows, or of its bytes."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import write_json
from cl_client.local.tasks.hashing.server_media_types import server_media_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client._core.choices import HashAlgorithm
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.local.tasks.hashing.server_media_types import ServerMediaType
    from cl_client.models import JSONObject
    from cl_client.plugins.hash import HashParams

_BLOCK_SIZE: Final = 1024 * 1024


def run(context: TaskContext[HashParams]) -> JSONObject:
    """Hash the file, and write the hash to the result file.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``media_type``, and ``warnings`` if there are any.

    Raises:
        TaskFailedError: The file cannot be read or decoded, or the result cannot be written.
    """
    started = time.perf_counter()
    hash_value, algorithm, media_type = _hashed(context)
    output: JSONObject = {"media_type": media_type}
    write_json(
        context.output_file,
        {
            "hash_value": hash_value,
            "algorithm": algorithm,
            "media_type": media_type,
            "process_time": time.perf_counter() - started,
        },
    )
    if context.warnings:
        output["warnings"] = [*context.warnings]
    return output


def _hashed(context: TaskContext[HashParams]) -> tuple[str, str, ServerMediaType]:
    """Return the hash, the server's word for how it was computed, and the media type."""
    file, algorithm = context.input_file, context.params.algorithm
    try:
        media_type = server_media_type(file)
        if algorithm == "md5":
            return _hash_bytes(file, algorithm, context.report), algorithm, media_type
        if media_type == "image":
            from cl_client.local.tasks.hashing.pixels import hash_pixels

            return hash_pixels(file, context.report, context.warn), f"{algorithm}_image", media_type
        if media_type == "video":
            from cl_client.local.tasks.hashing.key_frames import hash_key_frames  # with PyAV

            return hash_key_frames(file, context.report, context.warn), f"{algorithm}_video", media_type
        return _hash_bytes(file, algorithm, context.report), f"{algorithm}_generic", media_type
    except OSError as exc:
        raise TaskFailedError(f"{file.name}: cannot be read: {exc.strerror or exc}") from exc


def _hash_bytes(file: Path, algorithm: HashAlgorithm, report: Callable[[int], None]) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with file.open("rb") as stream:
        size, done = file.stat().st_size, 0
        while block := stream.read(_BLOCK_SIZE):
            digest.update(block)
            done += len(block)
            report(min(99, done * 100 // max(size, done)))
    return digest.hexdigest()
