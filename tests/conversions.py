"""Runs the task image_conversion on a file, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskContext
from cl_client.local.tasks.conversion import image_conversion
from cl_client.plugins.image_conversion import ImageConversionParams

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client._core.choices import ImageFormat

_WORDS = TypeAdapter(tuple[str, ...])


class Converter:
    """Converts files; the result of the next conversion replaces that of the last into the same format.

    Attributes:
        dropped: What the last result has not of its source.
        warnings: What the last conversion warned of.
    """

    def __init__(self, folder: Path) -> None:
        self.dropped: tuple[str, ...] = ()
        self.warnings: list[str] = []
        self._folder = folder

    def __call__(self, source: Path, target: ImageFormat, quality: int | None = None) -> Path:
        """Convert a file; the result's path."""
        output = self._folder / "output" / f"converted.{target}"
        output.parent.mkdir(exist_ok=True)
        params = ImageConversionParams(format=target, quality=quality)
        progress: list[int] = []
        context = TaskContext(params, source, output, self._folder, progress.append)
        try:
            task_output = image_conversion.run(context)
        finally:
            assert not list(output.parent.glob(".*")), "a partial file is left behind"
        assert task_output.keys() == {"dropped"}
        assert progress == sorted(progress)
        self.dropped = _WORDS.validate_python(task_output["dropped"])
        self.warnings = context.warnings
        return output
