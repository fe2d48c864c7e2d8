"""The work of `cl-client face-detection detect`: finds faces, and writes copies with the faces marked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from cl_client.plugins.face_detection import FaceDetectionOutput
from cl_client_cli.pictures.faces import mark_faces
from cl_client_cli.tasks.run import run_plugin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cl_client_cli.frame.options import RunOptions
    from cl_client_cli.tasks.job_outcome import Outcome


def run_face_detection(
    files: Sequence[str], values: Mapping[str, object], options: RunOptions, annotate: Path | None
) -> int:
    """Run face detection on files.

    Args:
        files: The command's arguments.
        values: The task's parameters.
        options: The options of the command.
        annotate: The file for the marked image, or the folder for several; None for none.

    Returns:
        The exit code.
    """
    return run_plugin("face_detection", files, values, options, annotate=annotate, after=mark_found_faces)


async def mark_found_faces(outcome: Outcome) -> Outcome:
    """Write the copy with the faces marked, if the request asks for one.

    Args:
        outcome: The outcome of a face detection.

    Returns:
        The outcome, with the copy added to its files.

    Raises:
        OSError: The image cannot be read here, or the copy cannot be written.
    """
    request, result = outcome.request, outcome.result
    if request.annotated is None or result is None:
        return outcome
    found = FaceDetectionOutput.model_validate(result.data)
    await asyncio.to_thread(mark_faces, request.path, found.faces, request.annotated)
    return replace(outcome, result=replace(result, files=(*result.files, request.annotated)))
