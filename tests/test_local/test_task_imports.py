"""A worker imports a library for the first file that needs it, as each worker pays for it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from cl_client.local.samples import draw_photo
from support import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_JOB: Final = """
import pkgutil, sys
from pathlib import Path
from cl_client.local.tasks import TASKS
from cl_client.local.tasks.contract import TaskContext

spec = TASKS[{task!r}]
params = pkgutil.resolve_name(spec.params)()
context = TaskContext(params, Path({file!r}), Path({output!r}), Path({folder!r}), lambda percent: None)
pkgutil.resolve_name(spec.function)(context)
print(*(name for name in {libraries!r} if name in sys.modules))
"""
_LIBRARIES: Final = ("PIL", "PIL.WebPImagePlugin", "av", "numpy", "pillow_heif", "rawpy")


@pytest.mark.parametrize(
    ("task", "imported"),
    [("hash", "PIL"), ("media_thumbnail", "PIL"), ("exif", "")],
    ids=["hash", "thumbnail", "exif"],
)
def test_a_jpeg_needs_no_library_for_other_files(
    task: str, imported: str, tmp_path: Path, run_python: Callable[[str], str]
) -> None:
    if task == "exif":
        require("exiftool")
    file, output = tmp_path / "photo.jpg", tmp_path / "output"
    draw_photo(file, size=(320, 240))
    code = _JOB.format(
        task=task, file=str(file), output=str(output), folder=str(tmp_path), libraries=_LIBRARIES
    )
    assert run_python(code) == imported
    assert output.stat().st_size > 0
