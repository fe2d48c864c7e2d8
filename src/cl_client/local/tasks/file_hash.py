"""The hash of a file of any kind."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import write_json
from cl_client.local.tasks.media_types import detect_media_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client._core.choices import HashAlgorithm
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.hash import HashParams

_BLOCK_SIZE: Final = 1024 * 1024


def run(context: TaskContext[HashParams]) -> JSONObject:
    """Hash the file block by block, and write the hash to the result file.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``media_type``.

    Raises:
        TaskFailedError: The file cannot be read, or the result cannot be written.
    """
    started = time.perf_counter()
    algorithm = context.params.algorithm
    hash_value = _hash_of(context.input_file, algorithm, context.report)
    media_type = detect_media_type(context.input_file)
    write_json(
        context.output_file,
        {
            "hash_value": hash_value,
            "algorithm": algorithm,
            "media_type": media_type,
            "process_time": time.perf_counter() - started,
        },
    )
    return {"media_type": media_type}


def _hash_of(file: Path, algorithm: HashAlgorithm, report: Callable[[int], None]) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with file.open("rb") as stream:
            size, done = file.stat().st_size, 0
            while block := stream.read(_BLOCK_SIZE):
                digest.update(block)
                done += len(block)
                report(min(99, done * 100 // max(size, done)))
    except OSError as exc:
        raise TaskFailedError(f"{file.name}: cannot be read: {exc.strerror}") from exc
    return digest.hexdigest()
