"""The faults of real servers that the local server has only on request, by generation.

``LocalServer(real_faults=True)`` turns them on. A fault is one row here; each is also one row of the table
"Where the local server is kinder" in docs/local-server.md, which begins with the fault's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cl_client.local.generations import DIALECTS, Generation

if TYPE_CHECKING:
    from cl_client.local.tasks import TaskSpec

_CHECKS: Final = "cl_client.local.tasks.real_failures"
_ALL: Final[tuple[Generation, ...]] = tuple(DIALECTS)
_BEFORE_C2: Final[tuple[Generation, ...]] = tuple(generation for generation in _ALL if generation != "C2")


@dataclass(frozen=True, slots=True)
class RealFault:
    """One fault of the jobs of a task.

    Attributes:
        name: What it is about, as in the documentation.
        task: The name of the task; ``"*"`` for all.
        check: ``"module:function"``, called in the worker with the job's context before the task. It raises
            `TaskFailedError` with the words of real servers where they fail. Empty if no job fails.
        generations: The generations that have it.
        amend: ``"module:function"``, called in the worker with the job's context and its ``task_output``, to
            return that of a real server.
        params: ``"module:Class"``, the parameters that real servers accept, if they accept more.
        crashes_on: The form field whose invalid values make real servers crash, if there is one.
    """

    name: str
    task: str
    check: str = ""
    generations: tuple[Generation, ...] = _ALL
    amend: str = ""
    params: str = ""
    crashes_on: str = ""


REAL_FAULTS: Final = (
    RealFault(
        "HLS variants that are invalid",
        "hls_streaming",
        f"{_CHECKS}:hls_without_height_or_bitrate",
        params=f"{_CHECKS}:RealHlsParams",
        crashes_on="variants",
    ),
    RealFault("Thumbnails of videos", "media_thumbnail", f"{_CHECKS}:video_thumbnail", _BEFORE_C2),
    RealFault(
        "Thumbnails of images with transparency or a palette",
        "media_thumbnail",
        f"{_CHECKS}:thumbnail_of_such_pixels",
        _BEFORE_C2,
    ),
    RealFault(
        "Hashes of videos with their index at the end", "hash", f"{_CHECKS}:hash_of_late_index", _BEFORE_C2
    ),
    RealFault("Thumbnails on C2", "media_thumbnail", f"{_CHECKS}:thumbnail_on_c2", ("C2",)),
    RealFault("Hashes on C2", "hash", f"{_CHECKS}:hash_on_c2", ("C2",)),
    RealFault(
        "Conversions to formats that cannot hold the pixels",
        "image_conversion",
        f"{_CHECKS}:conversion_of_such_pixels",
    ),
    RealFault("Metadata in typed fields", "exif", amend=f"{_CHECKS}:metadata_as_raw_keys"),
    RealFault("Additional fields of `task_output`", "*", amend=f"{_CHECKS}:without_additions"),
)


def with_real_faults(name: str, task: TaskSpec, generation: Generation) -> TaskSpec:
    """Return a task as it is on real servers.

    Args:
        name: The name of the task.
        task: The task.
        generation: The generation of the server.

    Returns:
        A copy with the faults of that generation.
    """
    faults = [fault for fault in REAL_FAULTS if fault.task in {name, "*"} and generation in fault.generations]
    params = [fault.params for fault in faults if fault.params]
    return replace(
        task,
        checks=(*task.checks, *(fault.check for fault in faults if fault.check)),
        amends=(*task.amends, *(fault.amend for fault in faults if fault.amend)),
        crashes_on=task.crashes_on | {fault.crashes_on for fault in faults if fault.crashes_on},
        params=params[-1] if params else task.params,
    )
