"""The work of `cl-client models`: lists the models, and downloads missing ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from cl_client.exceptions import ComputeClientError, ConfigurationError
from cl_client.local import MODELS, users_models
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.progress import byte_progress
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import TaskID

    from cl_client_cli.frame.options import OutputOptions
    from cl_client_cli.frame.terminal import Terminal


class _ListedModel(BaseModel):
    """A model as ``--json`` prints it; ``path`` is None if it is not installed."""

    name: str
    summary: str
    licence: str | None
    url: str
    file_name: str
    sha256: str | None
    path: Path | None


def list_models(folder: Path | None, output: OutputOptions) -> int:
    """List the models.

    Args:
        folder: The folder of the models; None for the default.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        store = users_models(folder)
        listed = [
            _ListedModel(
                name=name,
                summary=model.summary,
                licence=model.licence,
                url=model.url,
                file_name=model.file_name,
                sha256=store.expected_digest(name),
                path=store.find(name),
            )
            for name, model in MODELS.items()
        ]
        for model in listed:
            terminal.record(model)
        terminal.result(_table(listed))
        return 0

    return run_guarded(output, work)


def _table(listed: Sequence[_ListedModel]) -> Table:
    table = Table("Model", "Description", "Path")
    table.columns[2].overflow = "fold"
    for model in listed:
        if model.path is None:
            where = Text("not installed", style="red")
        else:
            where = Text(f"{model.path}, {decimal(model.path.stat().st_size)}", style="green")
        table.add_row(model.name, model.summary, where)
    return table


def pull_models(names: Sequence[str], folder: Path | None, output: OutputOptions) -> int:
    """Download models.

    Args:
        names: The names of the models; empty for all.
        folder: The folder of the models; None for the default.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        unknown = [name for name in names if name not in MODELS]
        if unknown:
            raise UsageError(f"unknown model: {', '.join(unknown)}; the models are {', '.join(MODELS)}")
        return await _pull(terminal, tuple(dict.fromkeys(names or MODELS)), folder)

    return run_guarded(output, work, resume_hint="Incomplete downloads have been removed.")


async def _pull(terminal: Terminal, names: Sequence[str], folder: Path | None) -> int:
    """Download one model after the other; a failure does not stop the others."""
    store = users_models(folder)
    failures = 0
    with byte_progress(terminal) as progress:
        for name in names:
            bar = progress.add_task(name, total=MODELS[name].size)

            def show(done: int, total: int | None, bar: TaskID = bar) -> None:
                progress.update(bar, completed=done, total=total)

            try:
                path = await store.pull(name, show)
            except ConfigurationError:
                raise
            except (ComputeClientError, OSError) as exc:
                failures += 1
                terminal.error(str(exc))
            else:
                terminal.record({"name": name, "path": str(path)})
                terminal.result(f"{name}: {path}")
            finally:
                progress.remove_task(bar)
    return SOME_FAILED if failures else 0
