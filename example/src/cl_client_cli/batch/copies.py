"""Copies of results, for items whose content, task and parameters are those of another one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cl_client_cli.tasks.table import TASKS, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client_cli.batch.items import Item


def copy_result(twin: Item, item: Item) -> TaskResult | None:
    """Copy the result of an item with the same content; None where it is no longer there as a whole.

    Only what the twin's job left is copied: other items' results may be beside it.

    Raises:
        OSError: It cannot be copied.
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
    """Where a file of the twin's result is in the item's."""
    beside = TASKS[item.task].beside
    if file == twin.target or beside is None:
        return item.target
    return beside(item.target) / file.relative_to(beside(twin.target))


def _replace_file(source: Path, target: Path) -> None:
    def copy(part: Path) -> None:
        shutil.copy2(source, part)

    _replace(target, copy)


def _replace_folder(source: Path, target: Path) -> None:
    def copy(part: Path) -> None:
        shutil.rmtree(part, ignore_errors=True)  # that of a copy which was killed
        shutil.copytree(source, part)
        if target.exists():
            shutil.rmtree(target)

    _replace(target, copy)


def _replace(target: Path, copy: Callable[[Path], None]) -> None:
    """Make a copy under another name first, so that it is at its place as a whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        copy(part)
        part.replace(target)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
