"""`cl-client face-detection detect`: the faces, and copies of the pictures on which they are marked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cl_client.plugins.face_detection import FaceDetectionOutput
from cl_client_cli.face_pictures import mark_faces
from cl_client_cli.plugin_run import run_plugin
from cl_client_cli.result_names import ResultNames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cl_client_cli.job_engine import Outcome
    from cl_client_cli.options import RunOptions

_MARKED_SUFFIX = ".faces.jpg"


def run_face_detection(
    files: Sequence[str], values: Mapping[str, object], options: RunOptions, target: Path | None
) -> int:
    """Run face detection on files; the process's exit code.

    Args:
        files: The command's arguments.
        values: The task's parameters.
        options: The options that the commands share.
        target: Where the marked picture goes, or the folder of them; None for none.
    """
    if target is None:
        return run_plugin("face_detection", files, values, options)
    into_folder = target.is_dir() or not target.suffix

    async def mark(outcome: Outcome) -> None:
        if outcome.result is None:
            return
        source = outcome.request.path
        names = ResultNames(target, [source], _MARKED_SUFFIX)
        found = FaceDetectionOutput.model_validate(outcome.result.data)
        await asyncio.to_thread(
            mark_faces, source, found.faces, names.target(source) if into_folder else target
        )

    return run_plugin("face_detection", files, values, options, after=mark)
