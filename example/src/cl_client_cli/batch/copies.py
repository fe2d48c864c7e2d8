"""Copies results for items with the same content, task and parameters as another item."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cl_client_cli.frame.whole_files import written_whole
from cl_client_cli.tasks.table import TASKS, TaskResult

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client_cli.batch.items import Item


def copy_result(twin: Item, item: Item) -> TaskResult | None:
    """Copy the result of an item with the same content.

    Only the files of that item's job are copied; results of other items may be in the same folder.

    Args:
        twin: The item with the result.
        item: The item that needs it.

    Returns:
        The copied result; None if the files no longer exist.

    Raises:
        OSError: A file cannot be copied.
    """
    if twin.data is None:
        return None
    if TASKS[item.task].is_folder:
        if not twin.target.is_dir():
            return None
        _replace_folder(twin.target, item.target)
        files = tuple(item.target / file.relative_to(twin.target) for file in twin.files)
    else:
        if not twin.files or not all(file.is_file() for file in twin.files):
            return None
        files = tuple(_place_of(file, twin, item) for file in twin.files)
        for file, place in zip(twin.files, files, strict=True):
            _replace_file(file, place)
    return TaskResult(twin.summary or "", twin.data, files)


def _place_of(file: Path, twin: Item, item: Item) -> Path:
    """The path in the item's result for a file of the twin's result."""
    beside = TASKS[item.task].beside
    if file == twin.target or beside is None:
        return item.target
    return beside(item.target) / file.relative_to(beside(twin.target))


def _replace_file(source: Path, target: Path) -> None:
    with written_whole(target) as part:
        shutil.copy2(source, part)


def _replace_folder(source: Path, target: Path) -> None:
    """Copy to a temporary name first, so that the target is complete or missing."""
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)  # left over from a copy that was killed
    try:
        shutil.copytree(source, part)
        if target.exists():
            shutil.rmtree(target)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
